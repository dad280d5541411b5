import type { Micros, StoredEvent } from './event.ts';

/**
 * The port that every event store implements; `test/contracts/store-contract.ts` is its meaning in code, and each adapter
 * passes it unchanged.
 *
 * A store is built with `{ now, eventTtl }` beside its own options: an event whose `createdAt + eventTtl <= now()`
 * has expired, and every method treats it as if it had never been there. An event of another tenant is missing.
 *
 * Every method but `newId` and `close` rejects with a `StoreUnavailableError` while the store is out of reach, and with a
 * `StoreOverloadedError` when too much is under way already (both in `errors.ts`), within 2 s. Methods that read
 * an event reject with a `CorruptEventError` when its record is damaged.
 */
export interface EventStore {
  /**
   * A new id, in UUID v4 form, for an event of that tenant and time: a store may say in it where the event will be. Events
   * with any other id are as good.
   */
  newId(tenant: string, createdAt: Micros): string;

  /**
   * Resolves only when the event is durable, and then for good: no later failure loses it. Ids are the caller's to keep
   * unique. With a claim the event is stored only by the first who brings it; of many at once exactly one is `stored`.
   */
  append(event: StoredEvent, claim?: Claim): Promise<Appended>;

  /** Consistent: sees every write that resolved before the call. */
  get(tenant: string, id: string): Promise<StoredEvent | undefined>;

  /**
   * One page of a walk through the tenant's pending events, oldest first. A walk returns, once each, every event that is
   * visible at its first page and stays pending, and ends with them, so that it ends however fast events come: what becomes
   * visible later, behind it or ahead, is seen by the next walk. A damaged event is reported to the log and left out.
   */
  listPending(tenant: string, page: PageRequest): Promise<PendingPage>;

  countPending(tenant: string): Promise<PendingCount>;

  /** Moves a pending event to acknowledged at the time `at`. Of many callers at once exactly one gets `acknowledged`. */
  acknowledge(tenant: string, id: string, at: Micros): Promise<Acknowledgement>;

  /** Deletes the event, pending or not. False: there was none. */
  remove(tenant: string, id: string): Promise<boolean>;

  /** Resolves while the store can answer. */
  ping(): Promise<void>;

  /** Completes the writes that were accepted, refuses new ones with `StoreUnavailableError`, lets go of files and sockets. */
  close(): Promise<void>;
}

/**
 * What makes a repeated event a duplicate. The first to bring a `key` has it until `expiresAt`, whatever becomes of its
 * event meanwhile: acknowledged or deleted, it is not brought back.
 */
export interface Claim {
  /** 64 hex digits: a hash of all that two events must share to be one, the tenant included. */
  readonly key: string;
  /** 64 hex digits: a hash of the content. The same key with another one is a `conflict`. */
  readonly fingerprint: string;
  readonly expiresAt: Micros;
}

export type Appended =
  | { readonly outcome: 'stored' }
  /** The claim's first event, which has these and is, or was, there. */
  | { readonly outcome: 'duplicate'; readonly id: string; readonly createdAt: Micros }
  | { readonly outcome: 'conflict' };

export interface PageRequest {
  /** At least 1. */
  readonly limit: number;
  /**
   * `next` of the page before; null starts a walk, at the oldest event. Any other text is a place in this tenant's own
   * inbox or rejects with an `InvalidPositionError`.
   */
  readonly after: string | null;
  /** Exact match; absent: any. */
  readonly source?: string;
  /** Exact match; absent: any. */
  readonly type?: string;
}

export interface PendingPage {
  /**
   * Up to `limit` events. Fewer, with `next` set, once they hold `PAGE_PAYLOAD_BYTES` of payload or when the scan
   * budget of one call is used up on events that the filter leaves out (the page may then be empty).
   */
  readonly events: readonly StoredEvent[];
  /**
   * Where the walk goes on and where it ends, opaque and of printable ASCII; null exactly when nothing that matches is left
   * before its end.
   */
  readonly next: string | null;
}

export interface PendingCount {
  readonly count: number;
  /** False: `count` is a lower bound. */
  readonly exact: boolean;
}

export type Acknowledgement =
  /** By this call, or by an earlier one; and when. */
  | { readonly outcome: 'acknowledged' | 'already'; readonly acknowledgedAt: Micros }
  | { readonly outcome: 'missing' };

/** A page ends with the event that brings its payloads to this size, in bytes of UTF-8. */
export const PAGE_PAYLOAD_BYTES = 4 * 1024 * 1024;
