/**
 * `node --import=./.ci/typescript.mjs bench/dynamodb-brownout.ts [seconds] [events/s]`: what a brown-out of DynamoDB costs.
 * Producers append at a steady rate and do not repeat; every request is answered with a 500, or with none at all, or one
 * of two with a 500, at random; what works is answered by the proxy itself. On loopback. Prints the requests that arrived
 * for each event.
 */
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import dynalite from 'dynalite';
import { DAY, eventually, freshTables, newEvent, silentLog } from '../test/support/dynamodb.ts';
import { startFaultyEndpoint, type Fault } from '../test/support/faulty-endpoint.ts';
import { openDynamoStore } from '../src/store/dynamodb/dynamo-store.ts';
import { describeMachine } from './results.ts';

const seconds = Number(process.argv[2] ?? 30);
const rate = Number(process.argv[3] ?? 200);
const TICK_MS = 20;

const ERROR: Fault = {
  kind: 'error',
  status: 500,
  type: 'com.amazonaws.dynamodb.v20120810#InternalServerError',
};
const DONE: Fault = { kind: 'answer', body: {} };
const kinds: Record<string, () => Fault> = {
  'every request is answered with a 500': () => ERROR,
  'no request is answered': () => ({ kind: 'hang' }),
  'one request of two is answered with a 500': () => (Math.random() < 0.5 ? ERROR : DONE),
};

const { machine, node, commit } = describeMachine();
console.log(`${new Date().toISOString()}, commit ${commit}, Node ${node}; ${machine}`);
for (const [name, fault] of Object.entries(kinds)) await brownOut(name, fault);

async function brownOut(name: string, fault: () => Fault): Promise<void> {
  const server = dynalite({ createTableMs: 0 });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cleanUp: (() => unknown)[] = [];
  const target = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const proxy = await startFaultyEndpoint({ teardown: (run) => cleanUp.push(run) }, target);
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
  await eventually(() => store.ping());

  proxy.counts.clear();
  proxy.fault = fault;
  const outcomes = { stored: 0, refused: 0 };
  const answers: Promise<unknown>[] = [];
  const started = performance.now();
  for (let elapsed = 0; elapsed < seconds * 1000; elapsed = performance.now() - started) {
    while (answers.length < (rate * elapsed) / 1000) {
      const answer = store.append(newEvent()).then(
        () => (outcomes.stored += 1),
        () => (outcomes.refused += 1),
      );
      answers.push(answer);
    }
    await sleep(TICK_MS);
  }
  await Promise.all(answers);
  const total = [...proxy.counts.values()].reduce((sum, count) => sum + count, 0);
  console.log(`\n${name}, for ${String(seconds)} s, ${String(answers.length)} events:`);
  console.log(
    `  ${(total / answers.length).toFixed(2)} requests an event, ${JSON.stringify(Object.fromEntries(proxy.counts))}`,
  );
  console.log(`  ${String(outcomes.stored)} stored, ${String(outcomes.refused)} answered with a 503`);

  proxy.fault = () => undefined;
  const after = performance.now();
  await eventually(() => store.append(newEvent()));
  console.log(`  stores again ${(performance.now() - after).toFixed(0)} ms after its end`);
  await store.close();
  for (const run of cleanUp) await run();
  server.close();
  server.closeAllConnections();
}
