import { Registry } from 'prom-client';
import { KEY_ANSWERS, type KeyAnswer } from '../access/key-authenticator.ts';
import type { EventStore } from '../store/event-store.ts';
import type { StoreGauges } from '../store/store-gauges.ts';
import type { StoreObserver } from '../store/store-observer.ts';
import { createEventMetrics } from './event-metrics.ts';
import { createCounts, register } from './families.ts';
import { createHttpMetrics, type HttpMetrics } from './http-metrics.ts';
import { inboxFamilies } from './inbox-metrics.ts';
import { startMetricsServer, type MetricsServer } from './metrics-server.ts';
import { registerProcess } from './process-metrics.ts';
import { createStoreMetrics } from './store-metrics.ts';

/** What is measured, as observers for the parts that it is measured at. */
export interface Metrics {
  readonly storeObserver: StoreObserver;
  readonly http: HttpMetrics['hooks'];
  readonly observeKey: (answer: KeyAnswer) => void;
  /** The same store, with what this contract does on it counted. */
  readonly counted: (store: EventStore, contract: string) => EventStore;
  /** Serves everything. Rejects with a `ListenError`. To be closed last, because it answers about the others. */
  listen(host: string, port: number, parts: WatchedParts): Promise<MetricsServer>;
}

/** What is asked at each scrape. */
export interface WatchedParts {
  /** `embedded` or `dynamodb`. */
  readonly store: string;
  readonly version: string;
  readonly gauges: StoreGauges;
  /** Rejects while `/v1/ready` is 503. */
  readonly ready: () => Promise<void>;
  /** Lines that the log has dropped since the start. */
  readonly droppedLines: () => number;
  /** The present, in microseconds since the Unix epoch. */
  readonly now: () => number;
  /** Milliseconds of a clock that is never set. */
  readonly monotonicMs: () => number;
  /** Requests that wait for events. */
  readonly waits: () => number;
}

/** Loaded only when metrics are on. Then a request costs a look-up and some additions more (docs/decisions/023-metrics-are-plain-counters.md). */
export function createMetrics(contracts: readonly string[]): Metrics {
  const registry = new Registry();
  const http = createHttpMetrics();
  const events = createEventMetrics(contracts);
  const store = createStoreMetrics();
  const keys = createCounts(KEY_ANSWERS);

  return {
    storeObserver: store.observer,
    http: http.hooks,
    observeKey: keys.add,
    counted: events.counted,

    listen(host, port, { gauges, now, monotonicMs, waits, ...parts }) {
      const read = () => gauges.inboxes(events.lately());
      register(registry, [
        ...http.families,
        ...events.families,
        ...store.families(parts.store),
        ...store.gaugeFamilies(gauges),
        ...inboxFamilies({ read, now, monotonicMs }),
        {
          name: 'triggers_key_lookups_total',
          help: 'Stored API keys that were presented, by how the cache answered.',
          type: 'counter',
          values: () => keys.values('result'),
        },
        {
          name: 'triggers_http_requests_waiting',
          help: 'Requests that wait for events.',
          type: 'gauge',
          values: () => [{ labels: {}, value: waits() }],
        },
      ]);
      registerProcess(registry, parts);
      return startMetricsServer({ host, port }, registry.contentType, () => registry.metrics());
    },
  };
}
