import { isDeepStrictEqual } from 'node:util';
import type { Test } from 'tap';
import type { EventStore, PageRequest } from '../../src/store/event-store.ts';
import type { Micros, StoredEvent } from '../../src/store/event.ts';
import { sampleEvent } from '../../bench/harness/event.ts';

export interface StoreHarness {
  readonly name: string;
  open(t: Test, options: StoreOptions): Promise<OpenedStore>;
}

export interface StoreOptions {
  readonly now: () => Micros;
  readonly eventTtl: Micros;
  /** Absent: the store's own. */
  readonly maxAttempts?: number;
}

export interface OpenedStore {
  readonly store: EventStore;
  /** Makes inbox and count show the writes that have resolved. `attempt` counts from 0 for each comparison. */
  readonly settle?: (attempt: number) => Promise<void>;
  /** How often an inbox or count is read until it fits; absent: once. */
  readonly attempts?: number;
  /** A store over the same data, after `store.close()`. */
  readonly reopen?: () => Promise<EventStore>;
}

/** How a section of the contract states one of its tests. */
export type It = (name: string, body: (t: Test, world: World) => Promise<void>) => void;

export type World = Awaited<ReturnType<typeof newWorld>>;
type Filter = Partial<Omit<PageRequest, 'after'>>;

export const TTL: Micros = 7 * 86_400 * 1e6;
export const MAX_PAYLOAD = 409_600;

/** A fresh store, its clock, and helpers to fill and read it. */
export async function newWorld(t: Test, harness: StoreHarness) {
  // Near the wall time, because an engine that deletes expired records by itself uses its own clock.
  let time = Date.now() * 1000;
  const { store, settle, attempts = 1, reopen } = await harness.open(t, { now: () => time, eventTtl: TTL });

  let made = 0;
  /** The store's own ids and other ids take turns. */
  const event = (fields: Partial<StoredEvent> = {}): StoredEvent => {
    const { tenant, createdAt, ...one } = sampleEvent(fields.createdAt ?? ++time, fields);
    const own = made++ % 2 === 0 && fields.id === undefined;
    return { ...one, tenant, createdAt, ...(own ? { id: store.newId(tenant, createdAt) } : {}) };
  };

  /** The pages of a walk from the oldest event to the end; `between` runs after each page. */
  const pages = async (
    tenant: string,
    { limit = 50, ...filter }: Filter,
    between?: (page: readonly StoredEvent[]) => Promise<void>,
  ): Promise<(readonly StoredEvent[])[]> => {
    const found: (readonly StoredEvent[])[] = [];
    let after: string | null = null;
    do {
      const page = await store.listPending(tenant, { limit, after, ...filter });
      found.push(page.events);
      await between?.(page.events);
      after = page.next;
    } while (after !== null && found.length < 10_000);
    return found;
  };

  const walk = async (...args: Parameters<typeof pages>) => (await pages(...args)).flat();

  /** Reads until the answer is as wanted or the harness's attempts are used up. Resolves with the last answer. */
  const reads = async <T>(read: () => Promise<T>, wanted: unknown): Promise<T> => {
    for (let attempt = 0; ; attempt++) {
      await settle?.(attempt);
      const answer = await read();
      if (attempt + 1 >= attempts || isDeepStrictEqual(answer, wanted)) return answer;
    }
  };

  return {
    store,
    reopen,
    event,
    pages,
    walk,
    reads,
    tick: (): Micros => ++time,
    advance: (by: Micros) => void (time += by),
    advanceTo: (to: Micros) => void (time = Math.max(time, to)),
    add: async (fields: Partial<StoredEvent> = {}) => {
      const one = event(fields);
      await store.append(one);
      return one;
    },
    showsInbox: async (t: Test, tenant: string, events: readonly StoredEvent[], request: Filter = {}) => {
      const listed = await reads(() => walk(tenant, request), events);
      t.strictSame(listed, events, `inbox of ${tenant}, ${JSON.stringify(request)}`);
    },
    showsCount: async (t: Test, tenant: string, count: number) => {
      const wanted = { count, exact: true };
      t.strictSame(await reads(() => store.countPending(tenant), wanted), wanted, `count of ${tenant}`);
    },
  };
}

/** JSON text of an object of exactly `bytes` bytes that compresses to almost nothing. */
export function payloadOf(bytes: number): string {
  return `{"k":"${'x'.repeat(bytes - 8)}"}`;
}

/** JSON text of an object of exactly `bytes` bytes that hardly compresses; the same on every run. */
export function randomAscii(bytes: number): string {
  let state = 42;
  const characters = Array.from({ length: bytes - 8 }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const character = String.fromCharCode(35 + ((state >>> 16) % 92));
    return character === '\\' ? ' ' : character;
  });
  return `{"k":"${characters.join('')}"}`;
}

export function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new Error(`no item ${String(index)}`);
  return item;
}
