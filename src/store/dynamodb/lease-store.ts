import type { Micros } from '../event.ts';
import { LEASE_SKEW, unused } from '../lease-store.ts';
import type { Failed } from '../event-store.ts';
import type { StoredEvent } from '../event.ts';
import type { Leased, LeaseStore, LeaseRequest, LeaseResult, Settled, Settlement } from '../lease-store.ts';
import type { Deadline } from './deadline.ts';
import type { News } from './news.ts';
import type { Hint } from '../watchers.ts';
import type { Shares } from '../shares.ts';
import type { Calls } from './calls.ts';
import { createCandidates, type Candidates } from './candidates.ts';
import { unlessRefused } from '../unless-refused.ts';
import { createLater } from './later.ts';
import type { InboxIndex } from './inbox-index.ts';
import { readPage, type InboxOptions } from './inbox-reads.ts';
import { createLeaseItems } from './lease-items.ts';
import { leaseFree, settleLease, type Attempted, type LeasesOptions } from './leases.ts';
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
  readonly news: News;
}

/** The leases of the port; and `offer`, which takes events that have just been stored, and tells those who wait for them. */
export function createLeaseStore(options: LeaseStoreOptions): {
  readonly leases: LeaseStore;
  readonly offer: (events: readonly StoredEvent[]) => void;
} {
  const { inbox, calls, callBudgetMs, pageBytes, index, now, news } = options;
  const { events, eventTtl } = inbox;
  const items = createLeaseItems({ ...options, events, eventTtl });
  const patience = createLater(1, (name) => {
    const { tenant, hint } = JSON.parse(name) as { tenant: string; hint: NonNullable<Hint> };
    news.tellHere(tenant, hint);
  });
  const candidates = createCandidates({
    ...inbox,
    ...options,
    againIn(tenant, { source = null, type = '' }, ms) {
      // Fits those who want the same, and nobody who wants another type or source.
      patience.in(JSON.stringify({ tenant, hint: { source, type, forLeases: true } }), ms);
    },
  });
  const leases = { ...inbox, ...options, items, candidates };
  const returns = createReturns(news, candidates, now);

  const settleMany = async (tenant: string, settlements: readonly Settlement[], endsAt?: number) => {
    const settleOne = (one: Settlement, deadline: Deadline) => settleLease(leases, tenant, one, deadline);
    const settled = await calls.runMany(tenant, settlements, settleOne, endsAt);
    returns.settled(tenant, settlements, settled);
    return settled;
  };

  const leaseNow = createLeaseNow(leases, options, settleMany);

  const leaseStore: LeaseStore = {
    async lease(tenant, { settle = [], ...request }): Promise<LeaseResult> {
      const problem = index.problem();
      if (problem !== undefined) throw problem;
      const endsAt = performance.now() + callBudgetMs;
      const settled = unlessRefused(await settleMany(tenant, settle, endsAt));
      try {
        const found = await leaseNow(tenant, request, endsAt);
        returns.leased(tenant, found.leased);
        return { ...found, settled };
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

    async redrive(tenant, ids) {
      const call = (id: string, deadline: Deadline) => items.redrive(tenant, id, deadline);
      const redriven = unlessRefused(await calls.runMany(tenant, ids, call));
      if (redriven.some(({ outcome }) => outcome === 'redriven')) news.tell(tenant);
      return redriven;
    },
  };
  return { leases: leaseStore, offer: createOffer(news, candidates) };
}

type SettleMany = (tenant: string, settlements: readonly Settlement[]) => Promise<unknown>;

/** Leases, and gives back what nobody learns of. */
function createLeaseNow(
  leases: LeasesOptions,
  { calls, pageBytes }: Pick<LeaseStoreOptions, 'calls' | 'pageBytes'>,
  settleMany: SettleMany,
) {
  /** Behind the call: nobody waits for it, and if it fails the leases run out. */
  const giveBack = (tenant: string, tokens: ReadonlyMap<string, string>) => {
    const settlements = [...tokens].map(([eventId, leaseId]) => unused(eventId, leaseId));
    if (settlements.length > 0) void settleMany(tenant, settlements).catch(() => undefined);
  };

  return async (tenant: string, request: LeaseRequest, endsAt: number) => {
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
}

function createOffer(news: News, candidates: Pick<Candidates, 'offer'>) {
  return (events: readonly StoredEvent[]): void => {
    for (const event of events) {
      if (event.acknowledgedAt !== null) continue;
      if (news.isWatched(event.tenant)) candidates.offer(event);
      news.tell(event.tenant, event);
    }
  };
}

/** Looks of those who wait when leases end that this instance knows, which no write tells of. */
function createReturns(news: News, candidates: Pick<Candidates, 'again'>, now: () => Micros) {
  const returns = createLater(RETURNS_EVERY_MS, (tenant) => {
    if (!news.isWatched(tenant)) return;
    candidates.again(tenant);
    news.tellHere(tenant);
  });
  const at = (tenant: string, times: readonly Micros[]): void => {
    for (const time of new Set(times)) {
      returns.in(tenant, (time + LEASE_SKEW - now()) / 1_000 + LOOK_AFTER_MS);
    }
  };
  return {
    leased: (tenant: string, leased: readonly Leased[]): void => {
      at(
        tenant,
        leased.map(({ lease }) => lease.until),
      );
    },

    /** Events that are free again at once are news. */
    settled: (
      tenant: string,
      settlements: readonly Settlement[],
      results: readonly (Settled | Failed)[],
    ): void => {
      const delays = settlements.flatMap((one, index) =>
        one.action === 'release' && results[index]?.outcome === 'released' ? [one.delay] : [],
      );
      const extended = results.flatMap((one) => (one.outcome === 'extended' ? [one.until] : []));
      if (delays.includes(0)) news.tell(tenant);
      at(tenant, [...extended, ...delays.filter((delay) => delay > 0).map((delay) => now() + delay)]);
    },
  };
}

const RETURNS_EVERY_MS = 1_000;
/** An index may show a moment later that a lease has run out. */
const LOOK_AFTER_MS = 100;
