import { LRUCache } from 'lru-cache';
import type { Micros } from '../event.ts';
import type { Lmdb } from './database.ts';
import { covers, createAdvance, isCurrent, newTally } from './tally.ts';
import type { Tally } from './tally.ts';
import { NO_TENANT } from './writer.ts';
import type { Writer } from './writer.ts';
import type { Sequence } from './sequence.ts';

/**
 * How many pending events each tenant has. Counts are kept in memory, because on disk they would cost one more random page per
 * tenant and transaction (docs/decisions/008-counts-in-memory.md).
 *
 * The first question for a tenant counts its inbox, in slices; after that the count is known. It follows the order of the
 * writer, and is as exact as the inbox is within a transaction. So at most it is ahead of the disk by the transaction under way.
 */
export interface Counts {
  /** To be called within a transaction of the writer when an entry was added to the inbox. */
  added(tenant: string, sequence: Sequence): void;
  /** To be called within a transaction of the writer when an entry was removed from the inbox. */
  removed(tenant: string, sequence: Sequence): void;
  /** The number of entries that have not expired. Rejects as a write does, because unknown counts are made by the writer. */
  pending(tenant: string): Promise<number>;
}

interface Parts {
  readonly lmdb: Pick<Lmdb, 'inbox'>;
  readonly writer: Pick<Writer, 'write'>;
  /** Events up to this time have expired. */
  readonly expiredTo: () => Micros;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic?: () => number;
  /** Number of entries in the first slice of a walk. */
  readonly firstSlice?: number;
  /** The number of tenants whose counts are kept. */
  readonly tenants?: number;
}

/** A tenant takes about 200 bytes. One whose count was dropped is counted again at the next question. */
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
  /** A tally that is being made must not be dropped: it would miss what comes meanwhile. The writer's queue bounds their number. */
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
      // A walk under way ends with the horizon of its last slice, which has not run yet.
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

  /** Each slice is a write. Other writes run between two slices, and report to `added` and `removed`. */
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
      // The part that was counted stays right, and the next question continues from there.
      walks.delete(tenant);
      throw error;
    }
  }
}
