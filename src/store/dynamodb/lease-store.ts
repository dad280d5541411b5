import type { Micros } from '../event.ts';
import { unused } from '../lease-store.ts';
import type { LeaseStore, LeaseRequest, LeaseResult, Settlement } from '../lease-store.ts';
import type { Shares } from '../shares.ts';
import type { Calls } from './calls.ts';
import { createCandidates } from './candidates.ts';
import { unlessRefused } from '../unless-refused.ts';
import type { InboxIndex } from './inbox-index.ts';
import { readPage, type InboxOptions } from './inbox-reads.ts';
import { createLeaseItems } from './lease-items.ts';
import { leaseFree, settleLease, type Attempted } from './leases.ts';
import { withShare } from './payload-bytes.ts';
import type { Table } from './table.ts';

export interface LeaseStoreOptions {
  readonly inbox: InboxOptions;
  readonly claims: Table;
  readonly calls: Calls;
  readonly callBudgetMs: number;
  readonly pageBytes: Shares;
  readonly index: Pick<InboxIndex, 'problem'>;
  readonly shards: number;
  readonly maxAttempts: number;
  readonly now: () => Micros;
  readonly clockMs: () => number;
}

/** The leases of the port. */
export function createLeaseStore(options: LeaseStoreOptions): LeaseStore {
  const { inbox, calls, callBudgetMs, pageBytes, index, now } = options;
  const { events, eventTtl } = inbox;
  const items = createLeaseItems({ ...options, events, eventTtl });
  const candidates = createCandidates({ ...inbox, ...options });
  const leases = { ...inbox, ...options, items, candidates };

  const settleMany = (tenant: string, settlements: readonly Settlement[], endsAt?: number) =>
    calls.runMany(
      tenant,
      settlements,
      (settlement, deadline) => settleLease(leases, tenant, settlement, deadline),
      endsAt,
    );

  /** Behind the call: nobody waits for it, and if it fails the leases run out. */
  const giveBack = (tenant: string, tokens: ReadonlyMap<string, string>) => {
    const settlements = [...tokens].map(([eventId, leaseId]) => unused(eventId, leaseId));
    if (settlements.length > 0) void settleMany(tenant, settlements).catch(() => undefined);
  };

  const leaseNow = async (tenant: string, request: LeaseRequest, endsAt: number) => {
    const attempted: Attempted = { tokens: new Map(), unclear: new Map() };
    try {
      const leased = await calls.run(
        tenant,
        (deadline) =>
          withShare(pageBytes, tenant, (take) =>
            leaseFree(leases, tenant, request, attempted, take, deadline),
          ),
        endsAt,
      );
      giveBack(tenant, attempted.unclear);
      return leased;
    } catch (error) {
      // A call with a key will be repeated, and finds its leases.
      if (request.callKey === undefined) giveBack(tenant, attempted.tokens);
      throw error;
    }
  };

  return {
    async lease(tenant, { settle = [], ...request }): Promise<LeaseResult> {
      const problem = index.problem();
      if (problem !== undefined) throw problem;
      const endsAt = performance.now() + callBudgetMs;
      const settled = unlessRefused(await settleMany(tenant, settle, endsAt));
      try {
        return { leased: await leaseNow(tenant, request, endsAt), settled };
      } catch (error) {
        // The caller must learn what was settled, and asks again for the rest.
        if (settled.length === 0) throw error;
        return { leased: [], settled };
      }
    },

    settle: async (tenant, settlements) => unlessRefused(await settleMany(tenant, settlements)),

    listQuarantined: (tenant, page) =>
      calls.run(tenant, (deadline) =>
        withShare(pageBytes, tenant, (take) =>
          readPage(inbox, tenant, page, now() - eventTtl, deadline, take, 'quarantined'),
        ),
      ),

    redrive: async (tenant, ids) =>
      unlessRefused(await calls.runMany(tenant, ids, (id, deadline) => items.redrive(tenant, id, deadline))),
  };
}
