import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import type { Micros } from '../../events/event.ts';
import { StoreOverloadedError, StoreUnavailableError } from '../errors.ts';
import type { Acknowledgement, EventStore, KeyStore } from '../store.ts';
import { createAppends } from './append.ts';
import { createClient, type Connection } from './client.ts';
import { createClockCheck } from './clock-check.ts';
import { createCompression } from './compression.ts';
import { cacheCounts } from './count-cache.ts';
import { CALL_BUDGET_MS, withDeadline, type Deadline } from './deadline.ts';
import * as table from './events-table.ts';
import type { EventsTable } from './events-table.ts';
import { toStoreError } from './failure.ts';
import { createIndexReader, type IndexReader } from './index-reader.ts';
import { countInbox, readPage } from './inbox.ts';
import { createInboxShards, type InboxShards } from './inbox-shards.ts';
import { fromItem, isVisible } from './item.ts';
import { createDynamoKeys } from './keys.ts';
import type { StoreLog } from './log.ts';
import { becomeReady } from './readiness.ts';
import { checkTable, createTable, tableDefinitions, type TableNames } from './tables.ts';

export interface DynamoStoreOptions extends Connection {
  readonly tables: TableNames;
  /** Create the tables where they are missing; otherwise the store is not ready until they are there. */
  readonly createTables: boolean;
  /** Shards of a tenant's inbox that new events are spread over. */
  readonly shards: number;
  /** Shards that are read at least; beside them all that any instance writes. */
  readonly readShards: number;
  /** False: neither writes events nor lists them, and takes no part in what instances agree on. */
  readonly servesEvents?: boolean;
  /** How often the number of shards is read again, in milliseconds. */
  readonly shardsEveryMs?: number;
  readonly now: () => Micros;
  readonly eventTtl: Micros;
  /** What dates and judges events, to be compared with the engine's clock. Absent, as in tests that make up their time: nothing is. */
  readonly checkedClocks?: readonly (() => Micros)[];
  readonly log: StoreLog;
  /** How long a call may take, in milliseconds; more than the default only for emulators on busy machines. */
  readonly callBudgetMs?: number;
  /** For the age of a cached count, in milliseconds. */
  readonly clockMs?: () => number;
  /** Comes between the store and its index: a test makes the index lag. */
  readonly wrapIndex?: (reader: IndexReader) => IndexReader;
}

/** The event store, and the API keys beside it: they become ready, and are closed, together. */
export interface DynamoStore extends EventStore {
  readonly keys: KeyStore;
}

/** Calls under way beside plain appends, which the group commit bounds. */
const MAX_CALLS = 1_000;

/** How long opening waits for the first look at the tables. */
const FIRST_TRY_MS = 2_000;

/**
 * The store on DynamoDB or an engine that speaks its protocol. Never rejects: while DynamoDB cannot be reached or a
 * table is missing, every method rejects with a `StoreUnavailableError` that says so, and the store tries again.
 */
export async function openDynamoStore(options: DynamoStoreOptions): Promise<DynamoStore> {
  const { tables, log, now, eventTtl, callBudgetMs = CALL_BUDGET_MS } = options;
  const clockCheck = options.checkedClocks && createClockCheck(options.checkedClocks, log);
  const client = createClient(options, callBudgetMs, clockCheck);
  const events: EventsTable = { client, name: tables.events };
  const shards = createInboxShards({ ...options, events, callBudgetMs });
  const readiness = becomeReady((signal) => prepare(client, options, shards, signal), log);
  await Promise.race([readiness.tried, sleep(FIRST_TRY_MS, undefined, { ref: false })]);

  const compression = createCompression();
  const claims = { client, name: tables.claims };
  const appends = createAppends({ ...options, events, claims, compression, clockCheck });
  const index = createIndexReader(client, tables.events);
  const reader = options.wrapIndex?.(index) ?? index;
  const inbox = { ...options, events, compression, reader, readShards: () => shards.toRead() };
  const calls = trackCalls(tables.events, callBudgetMs, readiness.problem);
  const keyCalls = trackCalls(tables.keys, callBudgetMs, readiness.problem);
  const horizon = () => now() - eventTtl;
  const count = cacheCounts(
    (tenant) => calls.run((deadline) => countInbox(inbox, tenant, horizon(), deadline)),
    options.clockMs ?? Date.now,
  );

  return {
    keys: createDynamoKeys({ client, name: tables.keys }, (call) => keyCalls.run(call), log),
    newId: () => randomUUID(),
    append: (event, claim) =>
      claim === undefined
        ? calls.track(() => appends.plain(event, performance.now() + callBudgetMs))
        : calls.run((deadline) => appends.claimed(event, claim, deadline)),

    get: (tenant, id) =>
      calls.run(async (deadline) => {
        const item = await table.getItem(events, id, deadline);
        return isVisible(item, tenant, horizon()) ? fromItem(item, compression) : undefined;
      }),

    listPending: (tenant, page) =>
      calls.run((deadline) => readPage(inbox, tenant, page, horizon(), deadline)),

    countPending: (tenant) => {
      const refused = calls.refusal();
      return refused ? Promise.reject(refused) : count(tenant);
    },

    acknowledge: (tenant, id, at) =>
      calls.run(async (deadline): Promise<Acknowledgement> => {
        const request = { id, tenant, at, horizon: horizon(), token: randomUUID() };
        const item = await table.acknowledgeItem(events, request, deadline);
        if (!isVisible(item, tenant, request.horizon)) return { outcome: 'missing' };
        const event = await fromItem(item, compression);
        // It came between the request and the look at why that failed.
        if (event.acknowledgedAt === null) return { outcome: 'missing' };
        return { outcome: item['ack_token'] === request.token ? 'acknowledged' : 'already', event };
      }),

    remove: (tenant, id) =>
      calls.run((deadline) => {
        const request = { id, tenant, horizon: horizon(), token: randomUUID() };
        return table.removeItem(events, request, deadline);
      }),

    ping: () =>
      calls.run(async (deadline) => {
        await table.probe(events, deadline);
        // Only then: its answer may be the one that clears the clock.
        clockCheck?.refuse();
      }),

    async close() {
      readiness.stop();
      await Promise.all([shards.stop(), calls.close(), keyCalls.close()]);
      await appends.close();
      client.destroy();
    },
  };
}

async function prepare(
  client: DynamoDBDocumentClient,
  { tables, createTables, servesEvents = true }: DynamoStoreOptions,
  shards: InboxShards,
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
  await shards.join().catch((error: unknown) => {
    throw toStoreError(error, tables.events);
  });
}

/** Every call passes here: refused when there is no use in it, with the port's errors, waited for on close. */
function trackCalls(table: string, callBudgetMs: number, problem: () => StoreUnavailableError | undefined) {
  const underWay = new Set<Promise<unknown>>();
  let running = 0;
  let closed = false;

  const refusal = () => (closed ? new StoreUnavailableError('the store is closed') : problem());

  const track = async <T>(call: () => Promise<T>): Promise<T> => {
    const refused = refusal();
    if (refused) throw refused;
    const answer = call();
    underWay.add(answer);
    try {
      return await answer;
    } catch (error) {
      throw toStoreError(error, table);
    } finally {
      underWay.delete(answer);
    }
  };

  return {
    refusal,
    track,

    async run<T>(call: (deadline: Deadline) => Promise<T>): Promise<T> {
      if (running >= MAX_CALLS) throw new StoreOverloadedError('too many calls are under way');
      running += 1;
      try {
        return await track(() => withDeadline(call, callBudgetMs));
      } finally {
        running -= 1;
      }
    },

    /** Refuses further calls; resolves when those under way are over. */
    async close(): Promise<void> {
      closed = true;
      await Promise.allSettled(underWay);
    },
  };
}
