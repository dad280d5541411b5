import t from 'tap';
import { freshTables, startDynalite } from '../../../bench/harness/dynamodb.ts';
import { spawnMain } from '../../support/process.ts';

void t.test('reading the record does not keep a process alive', { timeout: 30_000 }, async (t) => {
  const options = {
    endpoint: await startDynalite(t),
    region: 'us-east-1',
    tables: freshTables(),
    createTables: true,
    shards: 4,
    readShards: 4,
  };
  // Opened and never closed.
  const script = `
    import { openDynamoStore } from './src/store/dynamodb/dynamo-store.ts';
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const now = () => Date.now() * 1000;
    const store = await openDynamoStore({ ...${JSON.stringify(options)}, log, now, eventTtl: 1e12 });
    await store.ping();
    console.log('ready');`;
  const command = ['--import=./.ci/typescript.mjs', '--input-type=module', '--eval', script];
  const { ended, output } = spawnMain(t, {}, [process.execPath, ...command]);
  t.equal(await ended, 0);
  t.match(output(), 'ready');
});
