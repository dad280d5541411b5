import type { EventStore } from '../store/event-store.ts';
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
  const outcomes = {
    ingested: createCounts(contracts),
    deduplicated: createCounts(contracts),
    conflicting: createCounts(contracts),
    acknowledged: createCounts(contracts),
    deleted: createCounts(contracts),
  };
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

const APPENDED = { stored: 'ingested', duplicate: 'deduplicated', conflict: 'conflicting' } as const;

const HELP = {
  ingested: 'Events that were stored.',
  deduplicated:
    'Events that were not stored, because an equal one or one with their idempotency key had been.',
  conflicting: 'Events that were refused, because their idempotency key had come with other content.',
  acknowledged: 'Events that were acknowledged or, which is the same, delivered.',
  deleted: 'Events that a client deleted.',
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
