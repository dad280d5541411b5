import type { EventStore } from '../../src/store/event-store.ts';
import { newEvent } from './dynamodb.ts';
import type { FaultyEndpoint } from './faulty-endpoint.ts';

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
        await store.append(newEvent({ payload: `{"order":${String(begun)},"note":"${'n'.repeat(400)}"}` }));
      }
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  const requests = new Map(proxy.counts);
  return { events, seconds, requests, eventsPerBatch: events / (requests.get('BatchWriteItem') ?? 0) };
}
