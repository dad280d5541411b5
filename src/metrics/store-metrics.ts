import type { StoreGauges } from '../store/store-gauges.ts';
import type { ObservedRequest, StoreObserver } from '../store/store-observer.ts';
import { createHistogram, LATENCY_MS, MS, type Family, type Value } from './families.ts';

export interface StoreMetrics {
  readonly observer: StoreObserver;
  /** @param store `embedded` or `dynamodb`: each has families of its own. */
  families(store: string): readonly Family[];
  gaugeFamilies(gauges: StoreGauges): readonly Family[];
}

export function createStoreMetrics(): StoreMetrics {
  const commitMs = createHistogram(LATENCY_MS);
  const commitWrites = createHistogram(BATCH_WRITES);
  let refused = 0;
  let expired = 0;
  const requests = createRequestMetrics();

  return {
    observer: {
      committed(writes, milliseconds) {
        commitMs.observe(milliseconds);
        commitWrites.observe(writes);
      },
      refused() {
        refused++;
      },
      expired(events) {
        expired += events;
      },
      requested: requests.requested,
    },

    families: (store) => [
      {
        name: COMMIT_DURATION,
        help: 'Time of a group commit: a transaction with its fsync, or a BatchWriteItem.',
        type: 'histogram',
        values: () => commitMs.values(COMMIT_DURATION, {}, MS),
      },
      {
        name: COMMIT_WRITES,
        help: 'Writes that one group commit wrote together.',
        type: 'histogram',
        values: () => commitWrites.values(COMMIT_WRITES, {}),
      },
      {
        name: 'triggers_group_commit_refused_writes_total',
        help: 'Writes that were refused with 503, because too many waited or because they had waited too long.',
        type: 'counter',
        values: () => [{ labels: {}, value: refused }],
      },
      ...(store === 'dynamodb'
        ? requests.families
        : [
            {
              name: 'triggers_events_expired_total',
              help: 'Events that the sweep deleted because they had expired.',
              type: 'counter' as const,
              values: () => [{ labels: {}, value: expired }],
            },
          ]),
    ],

    gaugeFamilies,
  };
}

const COMMIT_DURATION = 'triggers_group_commit_duration_seconds';
const COMMIT_WRITES = 'triggers_group_commit_writes';
const BATCH_WRITES: readonly number[] = [1, 2, 5, 10, 25, 50, 100, 200, 512];

function gaugeFamilies(gauges: StoreGauges): readonly Family[] {
  const gauge = (name: string, help: string, read: () => number): Family => ({
    name,
    help,
    type: 'gauge',
    values: () => {
      try {
        return [{ labels: {}, value: read() }];
      } catch {
        // The store is closed, or the folder was moved away. The other metrics still tell something.
        return [];
      }
    },
  });
  const { commitQueue } = gauges;
  const queue = [
    gauge(
      'triggers_group_commit_queue_writes',
      'Writes that wait for a group commit.',
      () => commitQueue().writes,
    ),
    gauge(
      'triggers_group_commit_queue_limit_writes',
      'The most writes that may wait; one tenant alone can have half of it.',
      () => commitQueue().limit,
    ),
  ];
  const { disk } = gauges;
  if (disk === undefined) return queue;
  return [
    ...queue,
    gauge('triggers_lmdb_file_bytes', "Size of the store's file.", () => disk().file),
    gauge('triggers_lmdb_reusable_bytes', 'In pages of the file that are not in use.', () => disk().reusable),
    gauge('triggers_disk_available_bytes', 'Left on the file system of DATA_DIR.', () => disk().available),
    gauge('triggers_disk_size_bytes', 'Size of the file system of DATA_DIR.', () => disk().total),
    gauge('triggers_disk_takes_events', '0: the disk is almost full, and events get 503.', () =>
      Number(disk().takesEvents),
    ),
  ];
}

/** Requests to DynamoDB. A try takes a millisecond at least, so that a key made of text costs nothing beside it. */
function createRequestMetrics() {
  const series = new Map<string, ReturnType<typeof createSeries>>();
  const all = (values: (each: ReturnType<typeof createSeries>) => readonly Value[]): Value[] =>
    [...series.values()].flatMap(values);
  const counter = (
    name: string,
    help: string,
    of: (each: ReturnType<typeof createSeries>) => number,
  ): Family => ({
    name,
    help,
    type: 'counter',
    values: () => all((each) => [{ labels: each.labels, value: of(each) }]),
  });

  return {
    requested: ({ table, operation, milliseconds, outcome, units, unprocessed }: ObservedRequest): void => {
      const key = `${table} ${operation}`;
      let each = series.get(key);
      if (each === undefined) series.set(key, (each = createSeries(table, operation)));
      each.latency.observe(milliseconds);
      each.outcomes.set(outcome, (each.outcomes.get(outcome) ?? 0) + 1);
      each.units += units;
      each.unprocessed += unprocessed;
    },
    families: [
      {
        name: 'triggers_dynamodb_requests_total',
        help: 'Requests to DynamoDB, each try of them, by outcome.',
        type: 'counter',
        values: () =>
          all(({ labels, outcomes }) =>
            [...outcomes].map(([outcome, value]) => ({ labels: { ...labels, outcome }, value })),
          ),
      },
      {
        name: REQUEST_DURATION,
        help: 'Time of a request to DynamoDB, of each try.',
        type: 'histogram',
        values: () => all(({ latency, labels }) => latency.values(REQUEST_DURATION, labels, MS)),
      },
      counter(
        'triggers_dynamodb_consumed_units_total',
        'Capacity units that answers say were consumed: read or write units, by operation.',
        ({ units }) => units,
      ),
      counter(
        'triggers_dynamodb_unprocessed_items_total',
        'Items and keys of batches that DynamoDB gave back: throttled one by one.',
        ({ unprocessed }) => unprocessed,
      ),
    ] satisfies Family[],
  };
}

const REQUEST_DURATION = 'triggers_dynamodb_request_duration_seconds';

function createSeries(table: string, operation: string) {
  return {
    labels: { table, operation },
    outcomes: new Map<string, number>(),
    latency: createHistogram(LATENCY_MS),
    units: 0,
    unprocessed: 0,
  };
}
