import type { Micros, StoredEvent } from './event.ts';
import type { LeaseStore } from './lease-store.ts';
import type { Watcher } from './watchers.ts';

/**
 * The port that every event store implements. `test/contracts/store-contract.ts` says in code what it means, and every
 * adapter passes it unchanged.
 *
 * A store is built with `{ now, eventTtl }` and its own options. An event whose `createdAt + eventTtl <= now()` has expired,
 * and every method treats it as if it had never been there. An event of another tenant is missing.
 *
 * Every method but `newId` and `close` rejects with a `StoreUnavailableError` while the store cannot be reached, and with a
 * `StoreOverloadedError` when too much is under way already (both in `store-errors.ts`), within 2 s. Methods that read an
 * event reject with a `CorruptEventError` when its record is damaged.
 */
export interface EventStore extends LeaseStore {
  /**
   * A new id, in UUID v4 form, for an event of that tenant and time. The store may encode in it where the event will be.
   * Events with any other id work as well.
   */
  newId(tenant: string, createdAt: Micros): string;

  /**
   * Resolves only when the event is durable: no later failure loses it. The caller keeps ids unique. With a claim, only the
   * first caller that brings the claim stores its event; of many at once exactly one gets `stored`.
   */
  append(event: StoredEvent, claim?: Claim): Promise<Appended>;

  /**
   * `append` for up to `MANY` events of one tenant, all pending. They get their places in the inbox in the order of the list, and
   * of two that bring one claim the first has it. Resolves, in that order, with what came of each: one that is `failed` may be
   * stored, unless its error is a `StoreOverloadedError`. Rejects only when nothing was stored, and nothing will be.
   */
  appendMany(tenant: string, appends: readonly Append[]): Promise<readonly (Appended | Failed)[]>;

  /** Consistent: sees every write that resolved before the call. */
  get(tenant: string, id: string): Promise<StoredEvent | undefined>;

  /**
   * One page of a walk through the tenant's pending events, oldest first. A walk returns, once each, every event that is
   * visible at its first page and stays pending, and ends with them. So it ends however fast events come: an event that
   * becomes visible later is seen by the next walk. A damaged event is reported to the log and left out.
   */
  listPending(tenant: string, page: PageRequest): Promise<PendingPage>;

  /**
   * What the first page with this limit and filter would show: a text that is the same for as long as that shows the same events,
   * leased alike, and no longer. It is the `tag` of that page. Reads no event.
   */
  pendingTag(tenant: string, page: Omit<PageRequest, 'after'>): Promise<string>;

  /**
   * Calls `changed` when events of the tenant may have become pending or free, with what is known of one of them: a hint, which may
   * come for nothing. It comes after whatever this instance has stored is durable. Of what other instances write, or have leased, it
   * may come a second late, or be missing.
   *
   * @returns what ends it.
   */
  watch(tenant: string, changed: Watcher): () => void;

  countPending(tenant: string): Promise<PendingCount>;

  /**
   * Moves an event that is pending, leased or not, or in quarantine to acknowledged at the time `at`. Of many callers at once
   * exactly one gets `acknowledged`.
   */
  acknowledge(tenant: string, id: string, at: Micros): Promise<Acknowledgement>;

  /**
   * `acknowledge` for up to `MANY` events, whose ids differ. Resolves, in the order of the ids, with what came of each: one that
   * is `failed` may be acknowledged, unless its error is a `StoreOverloadedError`. Rejects only when nothing was acknowledged, and
   * nothing will be.
   *
   * @param force true: also those whose lease runs; otherwise they get `leased`.
   */
  acknowledgeMany(
    tenant: string,
    ids: readonly string[],
    at: Micros,
    force?: boolean,
  ): Promise<readonly (Acknowledgement | { readonly outcome: 'leased' } | Failed)[]>;

  /** Deletes the event, pending, in quarantine or acknowledged. Resolves with false when there was none. */
  remove(tenant: string, id: string): Promise<boolean>;

  /** Resolves while the store can answer. */
  ping(): Promise<void>;

  /** Completes the writes that were accepted, refuses new ones with `StoreUnavailableError`, and closes files and sockets. */
  close(): Promise<void>;
}

/**
 * What makes a repeated event a duplicate. The first event that brings a `key` holds it until `expiresAt`, whatever happens
 * to the event meanwhile: one that was acknowledged or deleted does not come back.
 */
export interface Claim {
  /** 64 hex digits: a hash of everything that two events must share to be duplicates, including the tenant. */
  readonly key: string;
  /** 64 hex digits: a hash of the content. The same key with another fingerprint is a `conflict`. */
  readonly fingerprint: string;
  readonly expiresAt: Micros;
}

export type Appended =
  | { readonly outcome: 'stored' }
  /** Id and time of the first event with this claim. It is stored, or was. */
  | { readonly outcome: 'duplicate'; readonly id: string; readonly createdAt: Micros }
  | { readonly outcome: 'conflict' };

/** One event of `appendMany`. */
export interface Append {
  readonly event: StoredEvent;
  readonly claim?: Claim | undefined;
}

/** One item of a call for many of which nothing better is known than that something went wrong. */
export interface Failed {
  readonly outcome: 'failed';
  /** What the same call for this one item would have rejected with. */
  readonly error: Error;
}

export interface PageRequest {
  /** At least 1. */
  readonly limit: number;
  /**
   * `next` of the previous page; null starts a walk at the oldest event. Any other text is a place in this tenant's own inbox,
   * or the call rejects with an `InvalidPositionError`.
   */
  readonly after: string | null;
  /** Exact match; absent: any. */
  readonly source?: string;
  /** Exact match; absent: any. */
  readonly type?: string;
}

export interface PendingPage {
  /**
   * Up to `limit` events. There are fewer, with `next` set, once they hold `PAGE_PAYLOAD_BYTES` of payload, or when events
   * that the filter leaves out have used up the scan budget of one call (the page may then be empty).
   */
  readonly events: readonly StoredEvent[];
  /**
   * Where the walk continues and where it ends: opaque, in printable ASCII. Null exactly when no matching event is left before
   * the end of the walk.
   */
  readonly next: string | null;
  /** Until when those of the events are leased that are, by id. Absent: none of them is. */
  readonly leasedUntil?: ReadonlyMap<string, Micros>;
  /** Of a first page of pending events: `pendingTag`. Absent where the page was cut short by the size of its events. */
  readonly tag?: string;
}

export interface PendingCount {
  readonly count: number;
  /** False: `count` is a lower bound. */
  readonly exact: boolean;
}

export type Acknowledgement =
  /** `acknowledged` by this call, or `already` by an earlier one. */
  | { readonly outcome: 'acknowledged' | 'already'; readonly acknowledgedAt: Micros }
  | { readonly outcome: 'missing' };

/** A page ends with the event that brings its payloads to this size, in bytes of UTF-8. */
export const PAGE_PAYLOAD_BYTES = 4 * 1024 * 1024;

/** Items of a call for many, at most. */
export const MANY = 500;
