import type { Failed, PageRequest } from './event-store.ts';
import type { Micros, StoredEvent } from './event.ts';

/**
 * The part of the port with which several consumers share one inbox. `test/contracts/lease-contract.ts` says in code what it means.
 *
 * A lease is state of a pending event: who has it, until when, and how often it has been handed out. It takes the event out of
 * no walk and no count. When it has run out the event can be leased again, without anybody sweeping for that. What holds for
 * all methods of `EventStore` holds here too.
 */
export interface LeaseStore {
  /**
   * Settles what the request says, then hands out pending events, oldest first: free ones, and those whose lease has run out. No
   * event is leased by two at once, beyond `LEASE_SKEW` where instances share a store. Resolves when both are durable. There are
   * fewer than `limit` events once they hold `PAGE_PAYLOAD_BYTES` of payload, when a scan budget is used up, or when no more are free.
   *
   * An event that has been leased `maxAttempts` times (an option of the store) without an acknowledgement is not handed out: it
   * goes into quarantine, here if not before.
   */
  lease(tenant: string, request: LeaseRequest): Promise<LeaseResult>;

  /**
   * Ends or extends leases of different events. Resolves, in the order of the settlements, with what came of each; one that is
   * `failed` may have been carried out, unless its error is a `StoreOverloadedError`. Rejects only when nothing was carried out,
   * and nothing will be.
   */
  settle(tenant: string, settlements: readonly Settlement[]): Promise<readonly (Settled | Failed)[]>;

  /**
   * One page of a walk through the tenant's quarantined events, as `listPending` walks through the pending ones. Their order is
   * the store's own. All of them have `quarantine`.
   */
  listQuarantined(tenant: string, page: PageRequest): Promise<QuarantinePage>;

  /**
   * Makes quarantined events pending again, with the same id and time, no attempts and a new lifetime. `missing`: there is no such
   * event in quarantine. Settles each as `settle` does.
   */
  redrive(tenant: string, ids: readonly string[]): Promise<readonly (Redriven | Failed)[]>;
}

export interface LeaseRequest {
  /** 1-100. */
  readonly limit: number;
  /** How long the leases run; none runs longer than its event lives. */
  readonly leaseFor: Micros;
  /** Exact match; absent: any. */
  readonly source?: string;
  /** Exact match; absent: any. */
  readonly type?: string;
  /** Carried out before anything is leased. */
  readonly settle?: readonly Settlement[];
  /**
   * 64 hex digits, a hash that names this call. Repeated within `leaseFor`, it gets those leases again that have not been settled,
   * and no new ones.
   */
  readonly callKey?: string;
  /**
   * The caller waits, and asks again when it is told to (`EventStore.watch`): it can do without events that another instance is about
   * to take, and without what an index may show that was read a moment ago.
   */
  readonly patient?: boolean;
}

export interface LeaseResult {
  readonly leased: readonly Leased[];
  /** The call with this `callKey` was made before: it gets no leases but these, whatever comes. */
  readonly repeated?: boolean;
  /** A scan budget was used up, or others were faster: the same call may find something at once. */
  readonly more?: boolean;
  /** Of `settle` in the request, in its order. */
  readonly settled: readonly (Settled | Failed)[];
}

export interface Leased {
  readonly event: StoredEvent;
  readonly lease: Lease;
}

export interface Lease {
  /** 32 hex digits, unique for each event and lease. */
  readonly id: string;
  readonly until: Micros;
  /** Counts the leases of the event that were not given back, from 1. */
  readonly attempt: number;
  /** What came with the last `release` that had a reason. */
  readonly lastReason: string | null;
}

/** What to do with one lease. The current lease of an event is the last that was handed out, running or not. */
export type Settlement = { readonly eventId: string; readonly leaseId: string } & (
  | {
      /** Acknowledges the event if this is its current lease, even one that has run out. */
      readonly action: 'ack';
      readonly at: Micros;
    }
  | {
      /** Ends the lease, if it runs: the event can be leased again after `delay`. */
      readonly action: 'release';
      readonly delay: Micros;
      /** False: the lease is not counted as an attempt. True, with the last attempt that it may have: it goes into quarantine. */
      readonly failed: boolean;
      /** Up to 256 characters; null: the last reason stays. */
      readonly reason: string | null;
    }
  | {
      /** Puts the event into quarantine, if the lease runs. */
      readonly action: 'reject';
      readonly reason: string | null;
    }
  | {
      /** Lets the lease run for so long from now, if it runs. */
      readonly action: 'extend';
      readonly leaseFor: Micros;
    }
);

/** Gives a lease back of which nobody has heard: it counts as no attempt. */
export function unused(eventId: string, leaseId: string): Settlement {
  return { action: 'release', eventId, leaseId, delay: 0, failed: false, reason: null };
}

export type Settled =
  /** `acknowledged` also when this lease acknowledged it before. */
  | { readonly outcome: 'acknowledged'; readonly acknowledgedAt: Micros }
  | { readonly outcome: 'released' | 'quarantined' }
  | { readonly outcome: 'extended'; readonly until: Micros }
  /** The lease has run out, was settled, or is another's by now; or the event was acknowledged by its id. Nothing was done. */
  | { readonly outcome: 'lost' }
  /** There is no such event. */
  | { readonly outcome: 'missing' };

/** Why and since when an event is in quarantine. */
export interface Quarantine {
  readonly since: Micros;
  readonly attempts: number;
  readonly lastReason: string | null;
}

export interface QuarantinePage {
  readonly events: readonly StoredEvent[];
  /** As in a `PendingPage`. */
  readonly next: string | null;
}

export interface Redriven {
  readonly outcome: 'redriven' | 'missing';
}

/** By how much the clocks of instances that share a store may differ before an event can be leased by two at once. */
export const LEASE_SKEW: Micros = 2e6;

/** Leases without an acknowledgement that bring an event into quarantine, unless the store is told otherwise. */
export const MAX_ATTEMPTS = 10;
