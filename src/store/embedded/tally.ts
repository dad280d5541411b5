import type { Table } from './database.ts';
import { inboxKey, sequenceAfter } from './inbox-index.ts';
import type { Sequence } from './sequence.ts';

/** `live` is always the number of entries in (`horizon`, `end`]. A walk moves these bounds to where they should be. */
export interface Tally {
  live: number;
  horizon: Sequence;
  /** Infinity: the whole inbox. */
  end: Sequence;
  /** No counted entry is older. */
  oldest: Sequence;
}

export function newTally(horizon: Sequence): Tally {
  return { live: 0, horizon, end: horizon, oldest: Infinity };
}

export function covers({ horizon, end }: Tally, sequence: Sequence): boolean {
  return sequence > horizon && sequence <= end;
}

/** Moves the horizon over a time without entries, which needs no look at the inbox. False: a walk has to move it. */
export function isCurrent(tally: Tally, horizon: Sequence): boolean {
  if (tally.end !== Infinity || horizon < tally.horizon || horizon >= tally.oldest) return false;
  tally.horizon = horizon;
  return true;
}

/** Runs one slice of a walk, within a transaction of the writer. True: the tally is complete for that horizon. */
export type Advance = (tenant: string, tally: Tally, horizon: Sequence) => boolean;

/**
 * @param monotonic milliseconds of a clock that is never set.
 * @param firstSlice number of entries in the first slice.
 */
export function createAdvance(inbox: Table, monotonic: () => number, firstSlice: number): Advance {
  const slice = createSlicing(firstSlice, monotonic);

  return function advance(tenant, tally, wanted) {
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
    if (tally.end !== Infinity) return false;
    const [oldest] = inbox.getKeys({ start: from(tally.horizon), end: inboxKey(tenant, LAST), limit: 1 });
    tally.oldest = oldest === undefined ? Infinity : sequenceAfter(oldest, tenant);
    return isCurrent(tally, wanted);
  };
}

/** An entry with a greater sequence is damaged, and appears in no page. */
const LAST = Number.MAX_SAFE_INTEGER;

interface Range {
  readonly start: Buffer;
  readonly end: Buffer;
  readonly reverse?: boolean;
}

/** A slice holds the event loop for less than twice this time: the last slice may pass over its entries a second time. */
const SLICE_MS = 2;
const LARGEST_SLICE = 50_000;

/**
 * The returned function counts the first entries of a range, about as many as `SLICE_MS` allows. An entry takes 40 ns, and many
 * times that when pages come from disk. It passes their number to `onCount`, and returns the last key; undefined: that was the
 * whole range.
 */
function createSlicing(firstSlice: number, monotonic: () => number) {
  let size = firstSlice;
  return function slice(table: Table, range: Range, onCount: (count: number) => void): Buffer | undefined {
    const begun = monotonic();
    const counted = size;
    const [last] = table.getKeys({ ...range, offset: counted - 1, limit: 1 });
    onCount(last === undefined ? table.getKeysCount({ ...range }) : counted);
    const took = monotonic() - begun;
    if (took > SLICE_MS) size = Math.max(1, Math.floor(size / 2));
    else if (last !== undefined && took < SLICE_MS / 2) size = Math.min(LARGEST_SLICE, size * 2);
    return last;
  };
}
