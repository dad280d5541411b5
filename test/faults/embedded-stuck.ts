import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import { DEFAULT_LIMITS } from '../../src/store/embedded/writer.ts';
import { openTestStore } from '../support/embedded.ts';

void t.test(
  'a process that stopped within a transaction ends the server’s writing, not its answers',
  async (t) => {
    const path = t.testdir();
    const fatal: Error[] = [];
    const { store, add, event, inbox } = await openTestStore(t, path, {
      limits: { ...DEFAULT_LIMITS, waitingMs: 200, stuckMs: 1_000 },
      onFatal: (error) => fatal.push(error),
    });
    const one = await add();
    const holder = spawn(process.execPath, ['test/support/lock-holder.mjs', join(path, 'store.mdb')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.teardown(() => holder.kill('SIGKILL'));
    await once(holder.stdout, 'data');

    await t.rejects(store.append(event()), { name: 'StoreOverloadedError', message: /was not run/ });
    while (fatal.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    t.match(fatal, [{ name: 'StoreUnavailableError', message: /a transaction has not ended for 1 s/ }]);
    await t.rejects(store.append(event()), { name: 'StoreUnavailableError' });
    await t.rejects(store.ping(), { name: 'StoreUnavailableError' });
    t.strictSame(await inbox(), [one], 'reads go on');
    await t.rejects(store.close(), /A transaction has not ended/);
    t.equal(fatal.length, 1);
    // With the lock free again the thread of this process ends as well.
    holder.kill('SIGKILL');
  },
);
