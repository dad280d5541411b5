import { LRUCache } from 'lru-cache';
import type { Micros } from '../../events/event.ts';
import type { Lmdb, Table } from './database.ts';
import { inboxKey, sequenceAfter } from './record.ts';
import type { Sequence } from './record.ts';
import type { Writer } from './writer.ts';

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
  /** Entries of the first slice. */
  readonly firstSlice?: number;
}

/** A tenant takes about 200 bytes. One that is forgotten is counted again when it is asked for. */
const TENANTS = 10_000;

/** `live` is the number of entries in (`horizon`, `end`], at any moment. A walk moves these bounds to where they are wanted. */
interface Tally {
  live: number;
  horizon: Sequence;
  /** Infinity: the whole inbox. */
  end: Sequence;
  /** No entry counted is older. */
  oldest: Sequence;
}

export function createCounts({
  lmdb: { inbox },
  writer,
  expiredTo,
  monotonic = () => performance.now(),
  firstSlice = 2_000,
}: Parts): Counts {
  const tallies = new LRUCache<string, Tally>({ max: TENANTS });
  /** A tally that is being made must not be forgotten: it would miss what comes meanwhile. Bounded by the writer's queue. */
  const walks = new Map<string, { readonly tally: Tally; readonly count: Promise<number> }>();
  const slice = createSlicing(firstSlice, monotonic);
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
        tally = { live: 0, horizon: horizon(), end: horizon(), oldest: Infinity };
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
    try {
      for (;;) {
        const count = await writer.write(0, () => {
          if (!advance(tenant, tally)) return undefined;
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

  /** One slice. True: the tally is complete as of now. */
  function advance(tenant: string, tally: Tally): boolean {
    const wanted = horizon();
    const from = (sequence: Sequence) => inboxKey(tenant, sequence + 1);
    if (tally.end !== Infinity) {
      const last = slice(inbox, { start: from(tally.end), end: inboxKey(tenant, LAST) }, (count) => {
        tally.live += count;
      });
      tally.end = last === undefined ? Infinity : sequenceAfter(last, tenant);
    } else if (tally.horizon < wanted) {
      const last = slice(inbox, { start: from(tally.horizon), end: from(wanted) }, (count) => {
        tally.live -= count;
      });
      tally.horizon = last === undefined ? wanted : sequenceAfter(last, tenant);
    } else if (tally.horizon > wanted) {
      // The clock was set back.
      const range = { start: inboxKey(tenant, tally.horizon), end: inboxKey(tenant, wanted), reverse: true };
      const last = slice(inbox, range, (count) => {
        tally.live += count;
      });
      tally.horizon = last === undefined ? wanted : sequenceAfter(last, tenant) - 1;
    }
    if (tally.end !== Infinity || tally.horizon !== wanted) return false;
    const [oldest] = inbox.getKeys({ start: from(wanted), end: inboxKey(tenant, LAST), limit: 1 });
    tally.oldest = oldest === undefined ? Infinity : sequenceAfter(oldest, tenant);
    return true;
  }
}

/** An entry with a greater one is damaged, and in no page. */
const LAST = Number.MAX_SAFE_INTEGER;

function covers({ horizon, end }: Tally, sequence: Sequence): boolean {
  return sequence > horizon && sequence <= end;
}

/** Moves the horizon over a time without entries, which takes no look at the inbox. */
function isCurrent(tally: Tally, horizon: Sequence): boolean {
  if (tally.end !== Infinity || horizon < tally.horizon || horizon >= tally.oldest) return false;
  tally.horizon = horizon;
  return true;
}

interface Range {
  readonly start: Buffer;
  readonly end: Buffer;
  readonly reverse?: boolean;
}

/** A slice takes less of the event loop than twice this: the last one may pass over its entries a second time. */
const SLICE_MS = 2;
const LARGEST_SLICE = 50_000;

/**
 * The returned function counts the first entries of a range, about as many as `SLICE_MS` allows: 40 ns each, and many times that where pages
 * come from disk. It tells their number, and returns the last key; undefined: that was the whole range.
 */
function createSlicing(firstSlice: number, monotonic: () => number) {
  let size = firstSlice;
  return function slice(table: Table, range: Range, tell: (count: number) => void): Buffer | undefined {
    const begun = monotonic();
    const counted = size;
    const [last] = table.getKeys({ ...range, offset: counted - 1, limit: 1 });
    tell(last === undefined ? table.getKeysCount({ ...range }) : counted);
    const took = monotonic() - begun;
    if (took > SLICE_MS) size = Math.max(1, Math.floor(size / 2));
    else if (last !== undefined && took < SLICE_MS / 2) size = Math.min(LARGEST_SLICE, size * 2);
    return last;
  };
}
