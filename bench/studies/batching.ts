/**
 * `npm run bench -- batching [--events 20000]`: how well the group commit fills its batches. 64 callers append in a closed loop,
 * through a proxy that counts requests, to the DynamoDB at `DYNAMODB_ENDPOINT_URL` or to a DynamoDB Local that is started
 * here. Fails below 15 events a batch.
 */
import { parseArgs } from 'node:util';
import { startDynamoDbLocal } from '../../src/cli/dynamodb-local.ts';
import { openDynamoStore } from '../../src/store/dynamodb/dynamo-store.ts';
import type { EventStore } from '../../src/store/event-store.ts';
import { positive } from '../harness/arguments.ts';
import { eventually, storeOptions } from '../harness/dynamodb.ts';
import { sampleEvent } from '../harness/event.ts';
import type { FaultyEndpoint } from '../harness/faulty-endpoint.ts';
import { startFaultyEndpoint } from '../harness/faulty-endpoint.ts';
import { introduction } from '../harness/machine.ts';

const CALLERS = 64;
const WANTED = 15;

export async function batching(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { events: { type: 'string', default: '20000' } } });
  const events = positive('events', values.events);
  const given = process.env['DYNAMODB_ENDPOINT_URL'];
  console.error(`${introduction()}; DynamoDB: ${given ?? 'DynamoDB Local'}`);
  const local = given === undefined ? await startDynamoDbLocal() : undefined;
  try {
    return await measureOn(given ?? local?.endpoint ?? '', events);
  } finally {
    await local?.stop();
  }
}

async function measureOn(endpoint: string, events: number): Promise<number> {
  const ends: (() => unknown)[] = [];
  const proxy = await startFaultyEndpoint({ teardown: (end) => ends.push(end) }, endpoint);
  const store = await openDynamoStore(storeOptions(proxy.endpoint));
  // The first table of an emulator that has just started takes its time.
  await eventually(() => store.ping());

  const warmUp = await measureBatching(store, proxy, CALLERS, events / 4);
  const { seconds, requests, eventsPerBatch } = await measureBatching(store, proxy, CALLERS, events);
  const total = [...requests.values()].reduce((sum, count) => sum + count, 0);
  console.log(
    `${String(CALLERS)} callers, ${String(events)} events after ${String(warmUp.events)} to warm up:`,
  );
  console.log(
    `  ${eventsPerBatch.toFixed(1)} events a batch, ${(total / events).toFixed(3)} requests an event`,
  );
  console.log(`  ${(events / seconds).toFixed(0)} events/s, ${JSON.stringify(Object.fromEntries(requests))}`);
  await store.close();
  for (const end of ends) await end();
  if (eventsPerBatch >= WANTED) return 0;
  console.error(`fewer than ${String(WANTED)} events a batch`);
  return 1;
}

export interface Batching {
  readonly events: number;
  readonly seconds: number;
  /** Requests that the endpoint saw, by operation. */
  readonly requests: ReadonlyMap<string, number>;
  readonly eventsPerBatch: number;
}

/** `callers` append one event after the other, each as soon as the one before is stored, until `events` are. */
export async function measureBatching(
  store: EventStore,
  proxy: FaultyEndpoint,
  callers: number,
  events: number,
): Promise<Batching> {
  proxy.counts.clear();
  const started = performance.now();
  let begun = 0;
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (begun < events) {
        begun += 1;
        const payload = `{"order":${String(begun)},"note":"${'n'.repeat(400)}"}`;
        await store.append(sampleEvent(Date.now() * 1000, { payload }));
      }
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  const requests = new Map(proxy.counts);
  return { events, seconds, requests, eventsPerBatch: events / (requests.get('BatchWriteItem') ?? 0) };
}
