import { LRUCache } from 'lru-cache';
import type { Micros } from '../event.ts';
import type { Lmdb } from './database.ts';
import { covers, createAdvance, isCurrent, newTally } from './tally.ts';
import type { Tally } from './tally.ts';
import { NO_TENANT } from './writer.ts';
import type { Writer } from './writer.ts';
import type { Sequence } from './sequence.ts';

/**
 * How many pending events each tenant has: in memory, because a count on disk is one more random page for each tenant and
 * transaction (docs/decisions/008-counts-in-memory.md).
 *
 * The first question for a tenant counts its inbox, in slices; after that it is known. It is a state of the writer's order:
 * as exact as the inbox is within a transaction, and so ahead of the disk by the transaction under way, if at all.
 */
export interface Counts {
  /** Within a transaction of the writer: an entry has come into the inbox. */
  added(tenant: string, sequence: Sequence): void;
  /** Within a transaction of the writer: an entry that was there is gone. */
  removed(tenant: string, sequence: Sequence): void;
  /** Entries of the inbox that have not expired. Rejects as a write does: what is not known is counted by the writer. */
  pending(tenant: string): Promise<number>;
}

interface Parts {
  readonly lmdb: Pick<Lmdb, 'inbox'>;
  readonly writer: Pick<Writer, 'write'>;
  /** Events up to this time have expired. */
  readonly expiredTo: () => Micros;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic?: () => number;
  /** Entries of the first slice of a walk. */
  readonly firstSlice?: number;
  /** How many tenants are remembered. */
  readonly tenants?: number;
}

/** A tenant takes about 200 bytes. One that is forgotten is counted again when it is asked for. */
const TENANTS = 10_000;

export function createCounts({
  lmdb: { inbox },
  writer,
  expiredTo,
  monotonic = () => performance.now(),
  firstSlice = 1_000,
  tenants = TENANTS,
}: Parts): Counts {
  const tallies = new LRUCache<string, Tally>({ max: tenants });
  /** A tally that is being made must not be forgotten: it would miss what comes meanwhile. Bounded by the writer's queue. */
  const walks = new Map<string, { readonly tally: Tally; readonly count: Promise<number> }>();
  const horizon = () => Math.max(0, expiredTo());

  return {
    added(tenant, sequence) {
      const tally = tallyOf(tenant);
      if (tally === undefined || !covers(tally, sequence)) return;
      tally.live++;
      tally.oldest = Math.min(tally.oldest, sequence);
    },

    removed(tenant, sequence) {
      const tally = tallyOf(tenant);
      if (tally !== undefined && covers(tally, sequence)) tally.live--;
    },

    pending(tenant) {
      // A walk under way ends with the horizon of its last slice, which is yet to come.
      const underWay = walks.get(tenant);
      if (underWay !== undefined) return underWay.count;
      let tally = tallies.get(tenant);
      if (tally === undefined) {
        tally = newTally(horizon());
        tallies.set(tenant, tally);
      } else if (isCurrent(tally, horizon())) return Promise.resolve(tally.live);
      const count = walk(tenant, tally);
      walks.set(tenant, { tally, count });
      return count;
    },
  };

  function tallyOf(tenant: string): Tally | undefined {
    return tallies.peek(tenant) ?? walks.get(tenant)?.tally;
  }

  /** Each slice is a write: between two of them others go on, and `added` and `removed` tell of what they did. */
  async function walk(tenant: string, tally: Tally): Promise<number> {
    const advance = createAdvance(inbox, monotonic, firstSlice);
    try {
      for (;;) {
        const count = await writer.write(NO_TENANT, 0, () => {
          if (!advance(tenant, tally, horizon())) return undefined;
          walks.delete(tenant);
          tallies.set(tenant, tally);
          return tally.live;
        });
        if (count !== undefined) return count;
      }
    } catch (error) {
      // Whatever part is counted stays right: who asks next goes on from there.
      walks.delete(tenant);
      throw error;
    }
  }
}
