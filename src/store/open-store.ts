import { createClock, SYSTEM_TIME } from '../events/clock.ts';
import type { ServiceClock } from '../events/clock.ts';
import type { DynamoStoreOptions } from './dynamodb/dynamo-store.ts';
import type { EmbeddedOptions } from './embedded/embedded-store.ts';
import type { EventStore } from './event-store.ts';
import type { StoreConfig } from './store-config.ts';
import type { KeyStore } from './key-store.ts';
import type { StoreGauges } from './store-gauges.ts';
import type { StoreObserver } from './store-observer.ts';

/** The event store, with the API keys that are kept in it. */
export interface Store extends EventStore {
  readonly keys: KeyStore;
  /** Time of the newest event at open, 0 where it is not known. */
  readonly newestTime: number;
  readonly gauges: StoreGauges;
}

export interface StoreOptions {
  readonly log: DynamoStoreOptions['log'];
  /** The embedded store has failed for good. */
  readonly onFatal: EmbeddedOptions['onFatal'];
  /** False: the store is opened beside a running server, by the command line. */
  readonly exclusive: boolean;
  /** False: it is an error when there is no store yet; otherwise one is created. */
  readonly create: boolean;
  /** The clock of the service, which the store shares. The command line gives none, and the store has its own. */
  readonly clock?: ServiceClock;
  /** Bytes of payload that end an inbox page on DynamoDB; absent: `PAGE_PAYLOAD_BYTES`. */
  readonly pagePayloadBytes?: number;
  /** Milliseconds of a clock that is never set. */
  readonly monotonicMs?: () => number;
  /** Absent: nothing is observed, and nothing is measured for it. */
  readonly observer?: StoreObserver;
}

/** Opens the store that the configuration names. Only this file and the command line name concrete stores. */
export async function openStore(
  config: StoreConfig,
  {
    clock = createClock(),
    monotonicMs = SYSTEM_TIME.monotonicMs,
    pagePayloadBytes,
    ...options
  }: StoreOptions,
): Promise<Store> {
  const { eventTtlSeconds, maxAttempts, dataDir, dynamodb } = config;
  const time = { now: () => clock.now(), eventTtl: eventTtlSeconds * 1e6, maxAttempts };
  // A store is loaded only when it is used: the AWS SDK alone takes a third of a second to load.
  if (config.store === 'embedded') {
    const { openEmbeddedStore } = await import('./embedded/embedded-store.ts');
    return openEmbeddedStore({ path: dataDir, ...time, monotonicMs, ...options });
  }
  const { openDynamoStore } = await import('./dynamodb/dynamo-store.ts');
  const { endpoint, ...rest } = dynamodb;
  const store = await openDynamoStore({
    ...rest,
    ...(endpoint === null ? {} : { endpoint }),
    ...time,
    upcoming: () => clock.upcoming(),
    checkedClocks: [() => clock.now(), () => clock.upcoming()],
    log: options.log,
    servesEvents: options.exclusive,
    ...(options.observer && { observer: options.observer }),
    ...(pagePayloadBytes === undefined ? {} : { pagePayloadBytes }),
  });
  // Instances share the tables, so the order of events comes from their clocks, not from what this process has stored.
  return { ...store, newestTime: 0 };
}
