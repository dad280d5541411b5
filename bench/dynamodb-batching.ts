/**
 * `npm run bench:batching [-- events]`: how well the group commit fills its batches. 64 callers append in a
 * closed loop, through a proxy that counts requests, to the DynamoDB at `DYNAMODB_ENDPOINT_URL` or to a DynamoDB Local
 * that is started here. Fails below 15 events a batch.
 */
import { measureBatching } from '../test/support/batching.ts';
import { DAY, eventually, freshTables, silentLog } from '../test/support/dynamodb.ts';
import { startDynamoDbLocal } from '../test/support/dynamodb-local.ts';
import { startFaultyEndpoint } from '../test/support/faulty-endpoint.ts';
import { describeMachine } from './results.ts';
import { openDynamoStore } from '../src/store/dynamodb/dynamo-store.ts';

const CALLERS = 64;
const WANTED = 15;

const events = Number(process.argv[2] ?? 20_000);
const given = process.env['DYNAMODB_ENDPOINT_URL'];
const local = given === undefined ? await startDynamoDbLocal() : undefined;
const cleanUp: (() => unknown)[] = [];
const proxy = await startFaultyEndpoint(
  { teardown: (run) => cleanUp.push(run) },
  given ?? local?.endpoint ?? '',
);
const store = await openDynamoStore({
  endpoint: proxy.endpoint,
  region: 'us-east-1',
  tables: freshTables(),
  createTables: true,
  shards: 4,
  readShards: 4,
  now: () => Date.now() * 1000,
  eventTtl: DAY,
  log: silentLog,
});

// The first table of an emulator that has just started takes its time.
await eventually(() => store.ping());

const warmUp = await measureBatching(store, proxy, CALLERS, events / 4);
const { seconds, requests, eventsPerBatch } = await measureBatching(store, proxy, CALLERS, events);
const total = [...requests.values()].reduce((sum, count) => sum + count, 0);
const { machine, node, commit } = describeMachine();
console.log(`${new Date().toISOString()}, commit ${commit}, Node ${node}`);
console.log(`${machine}; DynamoDB: ${given ?? 'DynamoDB Local'}`);
console.log(
  `${String(CALLERS)} callers, ${String(events)} events after ${String(warmUp.events)} to warm up:`,
);
console.log(
  `  ${eventsPerBatch.toFixed(1)} events a batch, ${(total / events).toFixed(3)} requests an event`,
);
console.log(`  ${(events / seconds).toFixed(0)} events/s, ${JSON.stringify(Object.fromEntries(requests))}`);

await store.close();
for (const run of cleanUp) await run();
await local?.stop();
if (eventsPerBatch < WANTED) {
  console.error(`fewer than ${String(WANTED)} events a batch`);
  process.exitCode = 1;
}
