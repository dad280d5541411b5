/**
 * `npm run bench -- brownout [--seconds 30] [--rate 200]`: what a brown-out of DynamoDB costs: docs/decisions/015.
 * Producers append at a steady rate and do not repeat; every request is answered with a 500, or with none at all, or one
 * of two with a 500, at random; what works is answered by the proxy itself. On loopback. Prints the requests that arrived
 * for each event.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openDynamoStore } from '../../src/store/dynamodb/dynamo-store.ts';
import type { EventStore } from '../../src/store/event-store.ts';
import { positive } from '../harness/arguments.ts';
import { eventually, startDynalite, storeOptions } from '../harness/dynamodb.ts';
import { sampleEvent } from '../harness/event.ts';
import type { Fault } from '../harness/faulty-endpoint.ts';
import { startFaultyEndpoint } from '../harness/faulty-endpoint.ts';
import { introduction } from '../harness/machine.ts';

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

export async function brownout(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { seconds: { type: 'string', default: '30' }, rate: { type: 'string', default: '200' } },
  });
  const [seconds, rate] = [positive('seconds', values.seconds), positive('rate', values.rate)];
  console.error(introduction());
  for (const [name, fault] of Object.entries(kinds)) await brownOut(name, fault, seconds, rate);
  return 0;
}

async function brownOut(name: string, fault: () => Fault, seconds: number, rate: number): Promise<void> {
  const ends: (() => unknown)[] = [];
  const scope = { teardown: (end: () => unknown) => ends.unshift(end) };
  const proxy = await startFaultyEndpoint(scope, await startDynalite(scope));
  const store = await openDynamoStore(storeOptions(proxy.endpoint));
  scope.teardown(() => store.close());
  await eventually(() => store.ping());

  proxy.counts.clear();
  proxy.fault = fault;
  const { events, stored } = await produce(store, seconds, rate);
  const total = [...proxy.counts.values()].reduce((sum, count) => sum + count, 0);
  console.log(`\n${name}, for ${String(seconds)} s, ${String(events)} events:`);
  console.log(
    `  ${(total / events).toFixed(2)} requests an event, ${JSON.stringify(Object.fromEntries(proxy.counts))}`,
  );
  console.log(`  ${String(stored)} stored, ${String(events - stored)} answered with a 503`);

  proxy.fault = () => undefined;
  const after = performance.now();
  await eventually(() => store.append(newEvent()));
  console.log(`  stores again ${(performance.now() - after).toFixed(0)} ms after its end`);
  for (const end of ends) await end();
}

/** At a steady rate, whatever becomes of them. */
async function produce(store: EventStore, seconds: number, rate: number) {
  let stored = 0;
  const answers: Promise<unknown>[] = [];
  const started = performance.now();
  for (let elapsed = 0; elapsed < seconds * 1000; elapsed = performance.now() - started) {
    while (answers.length < (rate * elapsed) / 1000) {
      const answer = store.append(newEvent()).then(
        () => (stored += 1),
        () => undefined,
      );
      answers.push(answer);
    }
    await sleep(TICK_MS);
  }
  await Promise.all(answers);
  return { events: answers.length, stored };
}

const newEvent = () => sampleEvent(Date.now() * 1000);
