import type { EventStore, Failed } from '../store/event-store.ts';
import type { LeaseStore, Settled } from '../store/lease-store.ts';
import { createCounts, type Family } from './families.ts';

export interface EventMetrics {
  /** The same store, with what a contract does on it counted. */
  readonly counted: (store: EventStore, contract: string) => EventStore;
  /** The tenants that were served last, the last one at the end. */
  readonly lately: () => readonly string[];
  readonly families: readonly Family[];
}

/** Events are counted at the port of the store, where their outcome is known, whichever contract and store it is. */
export function createEventMetrics(contracts: readonly string[]): EventMetrics {
  const outcomes = createOutcomes(contracts);
  const tenants = createLately();

  return {
    counted: (store, contract) => ({
      ...store,
      async append(event, claim) {
        tenants.served(event.tenant);
        const appended = await store.append(event, claim);
        outcomes[APPENDED[appended.outcome]].add(contract);
        return appended;
      },
      async acknowledge(tenant, id, at) {
        tenants.served(tenant);
        const acknowledgement = await store.acknowledge(tenant, id, at);
        if (acknowledgement.outcome === 'acknowledged') outcomes.acknowledged.add(contract);
        return acknowledgement;
      },
      async appendMany(tenant, appends) {
        tenants.served(tenant);
        const results = await store.appendMany(tenant, appends);
        for (const { outcome } of results)
          if (outcome !== 'failed') outcomes[APPENDED[outcome]].add(contract);
        return results;
      },
      async acknowledgeMany(tenant, ids, at, force) {
        tenants.served(tenant);
        const results = await store.acknowledgeMany(tenant, ids, at, force);
        for (const { outcome } of results)
          if (outcome === 'acknowledged') outcomes.acknowledged.add(contract);
        return results;
      },
      async remove(tenant, id) {
        tenants.served(tenant);
        const existed = await store.remove(tenant, id);
        if (existed) outcomes.deleted.add(contract);
        return existed;
      },
      ...countLeases(store, contract, outcomes, tenants),
      listPending(tenant, page) {
        tenants.served(tenant);
        return store.listPending(tenant, page);
      },
    }),
    lately: tenants.list,
    families: Object.entries(HELP).map(([name, help]) => ({
      name: `triggers_events_${name}_total`,
      help,
      type: 'counter',
      values: () => outcomes[name as keyof typeof outcomes].values('contract'),
    })),
  };
}

type Outcomes = ReturnType<typeof createOutcomes>;

function createOutcomes(contracts: readonly string[]) {
  return {
    ingested: createCounts(contracts),
    deduplicated: createCounts(contracts),
    conflicting: createCounts(contracts),
    acknowledged: createCounts(contracts),
    deleted: createCounts(contracts),
    leased: createCounts(contracts),
    released: createCounts(contracts),
    quarantined: createCounts(contracts),
    redriven: createCounts(contracts),
  };
}

function countLeases(
  store: LeaseStore,
  contract: string,
  outcomes: Outcomes,
  tenants: ReturnType<typeof createLately>,
): Pick<LeaseStore, 'lease' | 'settle' | 'redrive'> {
  const count = (settled: readonly (Settled | Failed)[]) => {
    for (const { outcome } of settled) {
      const isCounted = outcome === 'acknowledged' || outcome === 'released' || outcome === 'quarantined';
      if (isCounted) outcomes[outcome].add(contract);
    }
  };
  return {
    async lease(tenant, request) {
      tenants.served(tenant);
      const result = await store.lease(tenant, request);
      outcomes.leased.add(contract, result.leased.length);
      count(result.settled);
      return result;
    },
    async settle(tenant, settlements) {
      tenants.served(tenant);
      const settled = await store.settle(tenant, settlements);
      count(settled);
      return settled;
    },
    async redrive(tenant, ids) {
      const results = await store.redrive(tenant, ids);
      for (const { outcome } of results) if (outcome === 'redriven') outcomes.redriven.add(contract);
      return results;
    },
  };
}

const APPENDED = { stored: 'ingested', duplicate: 'deduplicated', conflict: 'conflicting' } as const;

const HELP = {
  ingested: 'Events that were stored.',
  deduplicated:
    'Events that were not stored, because an equal one or one with their idempotency key had been.',
  conflicting: 'Events that were refused, because their idempotency key had come with other content.',
  acknowledged: 'Events that were acknowledged or, which is the same, delivered.',
  deleted: 'Events that a client deleted.',
  leased: 'Leases that were handed out.',
  released: 'Leases that their holder gave back.',
  quarantined: 'Events that went into quarantine when their lease was settled.',
  redriven: 'Events that were put back from quarantine.',
};

/** How many tenants an instance on DynamoDB counts the inboxes of. */
const TENANTS = 50;

function createLately() {
  // A Set has the order in which its members were added.
  const tenants = new Set<string>();
  let last: string | undefined;
  return {
    served(tenant: string): void {
      if (tenant === last) return;
      last = tenant;
      tenants.delete(tenant);
      tenants.add(tenant);
      if (tenants.size <= TENANTS) return;
      for (const oldest of tenants) {
        tenants.delete(oldest);
        return;
      }
    },
    list: () => [...tenants],
  };
}
