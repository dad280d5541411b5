import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import type { Micros, StoredEvent } from '../event.ts';
import { createShares, type Shares } from '../shares.ts';
import type { Appended, Claim, EventStore, PendingCount } from '../event-store.ts';
import type { KeyStore } from '../key-store.ts';
import { MAX_ATTEMPTS, type LeaseStore } from '../lease-store.ts';
import { createAcknowledgements } from './acknowledge.ts';
import { appendMany } from './append-many.ts';
import { createAppends, type Appends } from './append.ts';
import { withShare, PAGE_BYTES } from './payload-bytes.ts';
import { createRequestTurns, singleFlight, trackCalls, type Calls } from './calls.ts';
import { createClient, type Connection } from './client.ts';
import { createClockCheck, type ClockCheck } from './clock-check.ts';
import { createCompression } from './compression.ts';
import { cacheCounts } from './count-cache.ts';
import { CALL_BUDGET_MS, type Deadline } from './deadline.ts';
import * as table from './events-table.ts';
import { toStoreError } from './failure.ts';
import { createIndexReader, type IndexReader } from './index-reader.ts';
import { createNews } from './news.ts';
import { countInbox, readPage, readTag, type InboxOptions } from './inbox-reads.ts';
import { createInboxIndex, type InboxIndex } from './inbox-index.ts';
import { createInboxShards, type InboxShards } from './inbox-shards.ts';
import { fromItem, isVisible } from './event-item.ts';
import { createGauges } from './dynamo-gauges.ts';
import { createLeaseStore } from './lease-store.ts';
import { createDynamoKeys } from './dynamo-keys.ts';
import type { StoreGauges } from '../store-gauges.ts';
import type { StoreLog } from '../store-log.ts';
import type { StoreObserver } from '../store-observer.ts';
import { becomeReady } from './readiness.ts';
import { createRetries, type Retries } from './retries.ts';
import { openTable, type Table } from './table.ts';
import { checkTable, createTable, describe, tableDefinitions, type TableNames } from './table-definitions.ts';

export interface DynamoStoreOptions extends Connection {
  readonly tables: TableNames;
  /** True: missing tables are created. False: the store is not ready until they exist. */
  readonly createTables: boolean;
  /** The number of shards of a tenant's inbox over which new events are spread. */
  readonly shards: number;
  /** The least number of shards that are read. If any instance writes more, all of them are read. */
  readonly readShards: number;
  /** False: the store neither writes nor lists events, and takes no part in agreements between instances. */
  readonly servesEvents?: boolean;
  /** How often the number of shards is read again, in milliseconds. */
  readonly shardsEveryMs?: number;
  /** How often a table without an index for leases is looked at again, in milliseconds. */
  readonly indexEveryMs?: number;
  readonly now: () => Micros;
  /** The latest time that an event of this instance may have by now; absent: `now`. */
  readonly upcoming?: () => Micros;
  readonly eventTtl: Micros;
  /** Leases without an acknowledgement, after which an event goes into quarantine; 0: never. Absent: 10. */
  readonly maxAttempts?: number;
  /** The clocks that date and judge events, to be compared with the engine's. Absent in tests whose time is made up. */
  readonly checkedClocks?: readonly (() => Micros)[];
  readonly log: StoreLog;
  /** How long a call may take, in milliseconds. Only emulators on busy machines need more than the default. */
  readonly callBudgetMs?: number;
  /** Bytes of payload that end an inbox page; absent: `PAGE_PAYLOAD_BYTES`. */
  readonly pagePayloadBytes?: number;
  /** Bytes that payloads of inbox pages under way may have. */
  readonly pageBytes?: number;
  /** The budget of retries. Absent: the store has its own. */
  readonly retries?: Retries;
  /** Milliseconds that never go back, for the age of a cached count. */
  readonly clockMs?: () => number;
  /** Wraps the index, so that a test can make it lag. */
  readonly wrapIndex?: (reader: IndexReader) => IndexReader;
  /** Absent: no request is measured. */
  readonly observer?: StoreObserver;
}

/** The event store and its API keys. They become ready together, and are closed together. */
export interface DynamoStore extends EventStore, LeaseStore {
  readonly keys: KeyStore;
  readonly gauges: StoreGauges;
}

/** Key look-ups come before the tenant is known. They have a share under a name that no tenant can have. */
const KEY_LOOKUPS = '#keys';

/** How long `openDynamoStore` waits for the first check of the tables. */
const FIRST_TRY_MS = 2_000;

/**
 * Opens the store on DynamoDB or on an engine that speaks its protocol. Never rejects: while DynamoDB cannot be reached or a
 * table is missing, every method rejects with a `StoreUnavailableError` that says so, and the store tries again.
 */
export async function openDynamoStore(options: DynamoStoreOptions): Promise<DynamoStore> {
  const { tables, log, now, eventTtl, callBudgetMs = CALL_BUDGET_MS } = options;
  const clockCheck = options.checkedClocks && createClockCheck(options.checkedClocks, log);
  const client = createClient(options, callBudgetMs, clockCheck);
  const open = (name: string) => openTable(client, name, options.observer);
  const events = open(tables.events);
  const retries = options.retries ?? createRetries({ clockMs: () => performance.now(), random: Math.random });
  const shards = createInboxShards({ ...options, events, callBudgetMs, retries });
  const index = createInboxIndex(() => describe(client, tables.events), log, options.indexEveryMs);
  const readiness = becomeReady((signal) => prepare(client, options, { shards, index }, signal), log);
  await Promise.race([readiness.tried, sleep(FIRST_TRY_MS, undefined, { ref: false })]);
  const compression = createCompression();
  const claims = open(tables.claims);
  const appends = createAppends({ ...options, events, claims, compression, retries, clockCheck });
  const reader = (options.wrapIndex ?? ((index) => index))(createIndexReader(events, index.name));
  const { upcoming = now } = options;
  const inbox = { ...options, events, compression, reader, upcoming, readShards: () => shards.toRead() };
  const common = { callBudgetMs, retries, turns: createRequestTurns(), problem: readiness.problem };
  const calls = trackCalls({ ...common, table: tables.events });
  const keyCalls = trackCalls({ ...common, table: tables.keys });
  const pageBytes = createShares(options.pageBytes ?? PAGE_BYTES);
  const horizon = () => now() - eventTtl;
  const countPending = createCount(calls, options.clockMs, (tenant, deadline) =>
    countInbox(inbox, tenant, horizon(), deadline),
  );

  const { maxAttempts = MAX_ATTEMPTS, clockMs = () => performance.now() } = options;
  const board = openTable(client, tables.claims, options.observer && ofNews(options.observer));
  const news = createNews({ claims: board, now, log, run: calls.runUnshared });
  const leaseParts = { inbox, claims, calls, callBudgetMs, pageBytes, index, maxAttempts };
  const { leases, offer } = createLeaseStore({ ...leaseParts, now, clockMs, news, shards: options.shards });

  return {
    ...leases,
    watch: news.watch,
    keys: createDynamoKeys(open(tables.keys), (call) => keyCalls.run(KEY_LOOKUPS, call), log),
    gauges: createGauges({ inbox, calls, horizon, countPending, commitQueue: appends.queue }),
    newId: () => randomUUID(),
    ...createAppending({ appends, calls, callBudgetMs, offer }),

    get: (tenant, id) =>
      calls.run(tenant, async (deadline) => {
        const item = await table.getItem(events, id, deadline);
        return isVisible(item, tenant, horizon()) ? fromItem(item, compression) : undefined;
      }),

    ...createPages(inbox, calls, pageBytes, horizon),

    countPending,

    ...createAcknowledgements(events, calls, now, eventTtl),

    remove: (tenant, id) =>
      calls.run(tenant, (deadline) => {
        const request = { id, tenant, horizon: horizon(), token: randomUUID() };
        return table.removeItem(events, request, deadline);
      }),

    ping: singleFlight(() => calls.runUnshared((deadline) => probe(events, clockCheck, deadline))),

    async close() {
      readiness.stop();
      index.stop();
      await news.stop();
      await Promise.all([shards.stop(), calls.close(), keyCalls.close()]);
      await appends.close();
      client.destroy();
    },
  };
}

/** Stores events, and tells those who wait for them. */
function createAppending({
  offer,
  ...ways
}: {
  readonly appends: Appends;
  readonly calls: Calls;
  readonly callBudgetMs: number;
  readonly offer: (events: readonly StoredEvent[]) => void;
}): Pick<EventStore, 'append' | 'appendMany'> {
  const { appends, calls, callBudgetMs } = ways;
  const append = (event: StoredEvent, claim?: Claim): Promise<Appended> =>
    claim === undefined
      ? calls.track(() => appends.plain(event, performance.now() + callBudgetMs))
      : calls.run(event.tenant, (deadline) => appends.claimed(event, claim, deadline));
  return {
    async append(event, claim) {
      const appended = await append(event, claim);
      if (appended.outcome === 'stored') offer([event]);
      return appended;
    },
    async appendMany(tenant, many) {
      const results = await calls.track(() => appendMany(ways, tenant, many));
      offer(many.flatMap(({ event }, index) => (results[index]?.outcome === 'stored' ? [event] : [])));
      return results;
    },
  };
}

function createPages(
  inbox: InboxOptions,
  calls: Calls,
  pageBytes: Shares,
  horizon: () => Micros,
): Pick<EventStore, 'listPending' | 'pendingTag'> {
  return {
    listPending: (tenant, page) =>
      calls.run(tenant, (deadline) =>
        withShare(pageBytes, tenant, (take) => readPage(inbox, tenant, page, horizon(), deadline, take)),
      ),
    pendingTag: (tenant, page) =>
      calls.run(tenant, (deadline) => readTag(inbox, tenant, page, horizon(), deadline)),
  };
}

/** Requests by which instances tell each other of events are not those of claims in the metrics: time costs them, not events. */
function ofNews(observer: StoreObserver): Pick<StoreObserver, 'requested'> {
  return {
    requested: (request) => {
      observer.requested({ ...request, operation: `${request.operation} of news` });
    },
  };
}

async function probe(events: Table, clockCheck: ClockCheck | undefined, deadline: Deadline): Promise<void> {
  await table.probe(events, deadline);
  // Only after the probe: its answer may be the one that shows the clock to be right.
  clockCheck?.refuse();
}

/** Counts are cached, but not served while the store refuses calls. */
function createCount(
  calls: Calls,
  clockMs: DynamoStoreOptions['clockMs'],
  countNow: (tenant: string, deadline: Deadline) => Promise<PendingCount>,
): EventStore['countPending'] {
  const count = cacheCounts((tenant) => calls.run(tenant, (deadline) => countNow(tenant, deadline)), clockMs);
  return (tenant) => {
    const refused = calls.refusal();
    return refused ? Promise.reject(refused) : count(tenant);
  };
}

async function prepare(
  client: DynamoDBDocumentClient,
  { tables, createTables, servesEvents = true }: DynamoStoreOptions,
  { shards, index }: { readonly shards: InboxShards; readonly index: InboxIndex },
  signal: AbortSignal,
): Promise<void> {
  for (const definition of tableDefinitions(tables)) {
    try {
      if (createTables) await createTable(client, definition, signal);
      else await checkTable(client, definition);
    } catch (error) {
      throw toStoreError(error, String(definition.TableName));
    }
  }
  if (!servesEvents) return;
  await Promise.all([shards.join(), index.follow()]).catch((error: unknown) => {
    throw toStoreError(error, tables.events);
  });
}
