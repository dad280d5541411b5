import type { Test } from 'tap';
import type { EventStore } from '../../src/store/event-store.ts';
import type { Micros, StoredEvent } from '../../src/store/event.ts';
import type { LeaseRequest, LeaseStore, Leased, Settlement } from '../../src/store/lease-store.ts';
import { at, newWorld, type StoreHarness } from './store-world.ts';

export const MAX_ATTEMPTS = 3;
export const MINUTE: Micros = 60e6;

export type LeaseWorld = Awaited<ReturnType<typeof newLeaseWorld>>;

/** A fresh store, its clock, and helpers to lease and settle. */
export async function newLeaseWorld(t: Test, harness: StoreHarness, maxAttempts: number) {
  const opened = await newWorld(t, {
    ...harness,
    open: (t, options) => harness.open(t, { ...options, maxAttempts }),
  });
  const store = opened.store as EventStore & LeaseStore;

  /** Leases as a caller does, who asks again while an index lags. @param wanted how many there should be. */
  const lease = async (wanted: number, request: Partial<LeaseRequest> = {}, tenant = 'acme') => {
    const found: Leased[] = [];
    await opened.reads(async () => {
      const { leased } = await store.lease(tenant, {
        limit: Math.max(wanted - found.length, 1),
        leaseFor: MINUTE,
        ...request,
      });
      found.push(...leased);
      return found.length >= wanted;
    }, true);
    return found;
  };

  const settleOne = async (settlement: Settlement, tenant = 'acme') =>
    at(await store.settle(tenant, [settlement]), 0);

  const quarantined = async (wanted: number, tenant = 'acme') => {
    let events: StoredEvent[] = [];
    await opened.reads(async () => {
      events = [];
      let after: string | null = null;
      do {
        const page = await store.listQuarantined(tenant, { limit: 2, after });
        events.push(...page.events);
        after = page.next;
      } while (after !== null);
      return events.length;
    }, wanted);
    return events;
  };

  return {
    ...opened,
    store,
    lease,
    settleOne,
    quarantined,
    addMany: async (count: number, fields: Partial<StoredEvent> = {}) => {
      const events = Array.from({ length: count }, () => opened.event(fields));
      await store.appendMany(
        fields.tenant ?? 'acme',
        events.map((event) => ({ event })),
      );
      return events;
    },
    leaseOne: async (request: Partial<LeaseRequest> = {}) => at(await lease(1, request), 0),
    now: () => opened.tick() - 1,
  };
}

/** The event and the lease that a settlement names. */
export function of({
  event,
  lease,
}: {
  readonly event: { readonly id: string };
  readonly lease: { readonly id: string };
}) {
  return { eventId: event.id, leaseId: lease.id };
}

export function later(delay: Micros, reason: string | null) {
  return { delay, failed: true, reason };
}

/** Every kind of settlement for one lease. */
export function ends(leased: Parameters<typeof of>[0], time: Micros = 1): readonly Settlement[] {
  return [
    { action: 'ack', ...of(leased), at: time },
    { action: 'release', ...of(leased), ...later(0, 'released') },
    { action: 'reject', ...of(leased), reason: 'rejected' },
    { action: 'extend', ...of(leased), leaseFor: MINUTE },
  ];
}
