import { randomUUID } from 'node:crypto';
import type { Micros } from '../event.ts';
import type { Acknowledgement, EventStore } from '../event-store.ts';
import type { Calls } from './calls.ts';
import type { Deadline } from './deadline.ts';
import { acknowledgedAtOf, isVisible, leasedUntil } from './event-item.ts';
import { acknowledgeItem } from './events-table.ts';
import { unlessRefused } from '../unless-refused.ts';
import type { Table } from './table.ts';

/** Acknowledgements by id: one update each, also in a call for many. */
export function createAcknowledgements(
  events: Table,
  calls: Calls,
  now: () => Micros,
  eventTtl: Micros,
): Pick<EventStore, 'acknowledge' | 'acknowledgeMany'> {
  const acknowledge = async (
    { tenant, id, at }: { readonly tenant: string; readonly id: string; readonly at: Micros },
    unlessLeased: boolean,
    deadline: Deadline,
  ): Promise<Acknowledgement | { readonly outcome: 'leased' }> => {
    const time = now();
    const horizon = time - eventTtl;
    const unlessLeasedAt = unlessLeased ? time : null;
    const request = { id, tenant, at, horizon, token: randomUUID(), unlessLeasedAt };
    const found = await acknowledgeItem(events, request, deadline);
    if (found === 'acknowledged') return { outcome: 'acknowledged', acknowledgedAt: at };
    if (!isVisible(found, tenant, horizon)) return { outcome: 'missing' };
    const acknowledgedAt = acknowledgedAtOf(id, found);
    if (acknowledgedAt !== null) return { outcome: 'already', acknowledgedAt };
    // Without a lease, a pending event was put between the update and the look at why the update failed.
    return { outcome: leasedUntil(found, time) === undefined ? 'missing' : 'leased' };
  };

  return {
    acknowledge: (tenant, id, at) =>
      calls.run(tenant, async (deadline) => {
        const answer = await acknowledge({ tenant, id, at }, false, deadline);
        return answer.outcome === 'leased' ? { outcome: 'missing' } : answer;
      }),

    acknowledgeMany: async (tenant, ids, at, force = false) =>
      unlessRefused(
        await calls.runMany(tenant, ids, (id, deadline) => acknowledge({ tenant, id, at }, !force, deadline)),
      ),
  };
}
