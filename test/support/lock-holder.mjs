// Stops in the middle of a transaction, and so keeps LMDB's lock for writers until it is killed.
import { open } from 'lmdb';

const [, , path = ''] = process.argv;
const root = open({ path, noSubdir: true, overlappingSync: false, maxDbs: 12 });
root.transactionSync(() => {
  process.stdout.write('holding\n');
  process.kill(process.pid, 'SIGSTOP');
});
