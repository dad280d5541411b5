import { createHash } from 'node:crypto';
import type { Failed } from '../store/event-store.ts';
import type { Micros } from '../store/event.ts';
import { unused } from '../store/lease-store.ts';
import type { Leased, LeaseStore, Settled, Settlement } from '../store/lease-store.ts';
import type { Clock } from './clock.ts';
import { decodeLeaseToken, encodeLeaseToken, type HeldLease } from './lease-token.ts';

/** What leases need to know. */
export interface LeaseServices {
  readonly store: LeaseStore;
  readonly clock: Clock;
  /** How long events live. */
  readonly eventTtl: Micros;
}

/** What a consumer wants done with a lease that it holds. */
export type LeaseAction = { readonly token: string } & (
  | { readonly action: 'ack' }
  | {
      readonly action: 'release';
      readonly delay: Micros;
      readonly failed: boolean;
      readonly reason: string | null;
    }
  | { readonly action: 'reject'; readonly reason: string | null }
  | { readonly action: 'extend'; readonly leaseFor: Micros }
);

export type ActionResult = {
  readonly action: LeaseAction['action'];
  /** Null: the token is malformed. */
  readonly eventId: string | null;
} & (
  | { readonly outcome: 'acknowledged' | 'extended'; readonly at: Micros }
  | { readonly outcome: 'released' | 'quarantined' | 'lease_lost' | 'lease_malformed' | 'not_found' }
  | Failed
);

export interface LeaseCall {
  /** 1-100. */
  readonly limit: number;
  readonly leaseFor: Micros;
  readonly source?: string | undefined;
  readonly type?: string | undefined;
  /** The consumer's name for this call: repeated, it gets the same leases. */
  readonly idempotencyKey?: string | undefined;
  /** Done before anything is leased. */
  readonly actions: readonly LeaseAction[];
  /** As of a `LeaseRequest`. */
  readonly patient?: boolean;
}

export interface LeaseOutcome {
  readonly handedOut: readonly HandedOut[];
  readonly results: readonly ActionResult[];
  /** The call was made before: these are all leases that it gets. */
  readonly repeated: boolean;
  /** As of a `LeaseResult`. */
  readonly more: boolean;
}

export interface HandedOut extends Leased {
  readonly token: string;
}

/** Does what the actions say, then leases the oldest free events. */
export async function leaseEvents(
  services: LeaseServices,
  tenant: string,
  { actions, idempotencyKey, source, type, limit, leaseFor, patient = false }: LeaseCall,
): Promise<LeaseOutcome> {
  const opened = openActions(services, tenant, actions);
  const {
    leased,
    settled,
    repeated = false,
    more = false,
  } = await services.store.lease(tenant, {
    ...{ limit, leaseFor, patient, settle: opened.settlements },
    ...(source === undefined ? {} : { source }),
    ...(type === undefined ? {} : { type }),
    ...(idempotencyKey === undefined ? {} : { callKey: hash(idempotencyKey) }),
  });
  return {
    handedOut: leased.map((one) => ({ ...one, token: encodeLeaseToken(one.event, one.lease.id) })),
    results: opened.results(settled),
    repeated,
    more,
  };
}

/** Does what the actions say. Resolves with what came of each, in their order. */
export async function settleLeases(
  services: LeaseServices,
  tenant: string,
  actions: readonly LeaseAction[],
): Promise<readonly ActionResult[]> {
  const { settlements, results } = openActions(services, tenant, actions);
  return results(settlements.length === 0 ? [] : await services.store.settle(tenant, settlements));
}

/** Gives leases back whose holder has gone before it learned of them: they count as no attempt. */
export async function giveBack(store: LeaseStore, tenant: string, leased: readonly Leased[]): Promise<void> {
  if (leased.length === 0) return;
  await store.settle(
    tenant,
    leased.map(({ event, lease }) => unused(event.id, lease.id)),
  );
}

function openActions({ clock, eventTtl }: LeaseServices, tenant: string, actions: readonly LeaseAction[]) {
  const held = actions.map(({ token }) => decodeLeaseToken(tenant, token));
  const settlements = actions.flatMap((action, index): Settlement[] => {
    const lease = held[index];
    return lease === undefined ? [] : [settlementOf(action, lease, clock)];
  });

  return {
    settlements,
    /** @param settled what the store says of the settlements. */
    results: (settled: readonly (Settled | Failed)[]): ActionResult[] => {
      let next = 0;
      return actions.map(({ action }, index) => {
        const lease = held[index];
        if (lease === undefined) return { action, eventId: null, outcome: 'lease_malformed' };
        const result = settled[next++];
        if (result === undefined) throw new TypeError('the store has not answered for each settlement');
        const hasExpired = clock.now() >= lease.createdAt + eventTtl;
        return { action, eventId: lease.eventId, ...outcomeOf(result, hasExpired) };
      });
    },
  };
}

function settlementOf(action: LeaseAction, { eventId, leaseId }: HeldLease, clock: Clock): Settlement {
  const ids = { eventId, leaseId };
  switch (action.action) {
    case 'ack':
      return { action: 'ack', ...ids, at: clock.tick() };
    case 'release':
      return { action: 'release', ...ids, delay: action.delay, failed: action.failed, reason: action.reason };
    case 'reject':
      return { action: 'reject', ...ids, reason: action.reason };
    case 'extend':
      return { action: 'extend', ...ids, leaseFor: action.leaseFor };
  }
}

/** @param hasExpired a missing event was there when it was leased: otherwise somebody has deleted it. */
function outcomeOf(result: Settled | Failed, hasExpired: boolean) {
  switch (result.outcome) {
    case 'acknowledged':
      return { outcome: result.outcome, at: result.acknowledgedAt };
    case 'extended':
      return { outcome: result.outcome, at: result.until };
    case 'lost':
      return { outcome: 'lease_lost' } as const;
    case 'missing':
      return { outcome: hasExpired ? 'not_found' : 'lease_lost' } as const;
    case 'released':
    case 'quarantined':
      return { outcome: result.outcome };
    case 'failed':
      return result;
  }
}

function hash(key: string): string {
  return createHash('sha256').update(`lease:${key}`).digest('hex');
}
