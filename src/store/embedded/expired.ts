import { StoreUnavailableError } from '../store-errors.ts';
import type { Table } from './database.ts';
import { sequenceKey } from './sequence.ts';
import type { Sequence } from './sequence.ts';

/** Deletes one thing that has expired, within a transaction of the writer. False: it was gone already. Never throws for damage. */
export type Deletion = () => boolean;

/** What has expired of one kind, the oldest first. */
export interface Backlog {
  /** The next call of `next` starts with the oldest again. */
  rewind(): void;
  /** At most `limit` deletions, whose pages are in memory; none: that was all. */
  next(limit: number): Promise<Deletion[]>;
}

/** How a backlog is looked through beside the requests: in short turns of the event loop, and with pages that a thread has fetched. */
export interface Pace {
  /** Whether this turn of the event loop has taken long enough. */
  isUp(): boolean;
  /** The next turn. Rejects with `StoreUnavailableError` once the store is closing: nothing may be read any more. */
  turn(): Promise<void>;
  /** Brings the pages of these keys into memory: a page fault would hold the event loop. Rejects as `turn` does. */
  prefetch(table: Table, keys: readonly Buffer[]): Promise<void>;
}

/** Of the event loop at once, about as much as a transaction takes. */
const TURN_MS = 2;

export function createPace(isStopped: () => boolean, monotonic: () => number): Pace {
  let begun = monotonic();
  const resume = () => {
    if (isStopped()) throw new StoreUnavailableError('The store is closed');
    begun = monotonic();
  };
  return {
    isUp: () => monotonic() - begun > TURN_MS,
    async turn() {
      await new Promise((resolve) => setImmediate(resolve));
      resume();
    },
    async prefetch(table, keys) {
      // A thread of libuv's pool looks each key up, and reads a byte of each page of its value (lmdb-js 3.5.6, dbi.cpp).
      // A key that is not there leads to the page where it would be.
      await table.prefetch([...keys]);
      resume();
    },
  };
}

/**
 * Keys that lead to the pages of the next entries of a table that is in the order of time, before those are known: to read
 * the keys themselves would already fault. They assume that the next ones are as far apart as the last were.
 */
export interface Probes {
  /** These were found: so many, from the first to the last. */
  learn(first: Sequence, last: Sequence, count: number): void;
  /** For the next `count` entries. */
  keys(count: number): Buffer[];
}

/** @param entriesAProbe fewer than a page has. */
export function createProbes(entriesAProbe: number): Probes {
  let last = 0;
  let stride = 0;
  return {
    learn(first, newLast, count) {
      stride = Math.max(0, newLast - first) / count;
      last = newLast;
    },
    keys(count) {
      const keys = [sequenceKey(0)];
      if (stride === 0) return keys;
      for (let ahead = 0; ahead < count; ahead += entriesAProbe) {
        keys.push(sequenceKey(Math.round(last + stride * ahead)));
      }
      return keys;
    },
  };
}

/** Up to `limit` keys after `after` and before `end`, copied, turn by turn. */
export async function listKeys(
  table: Table,
  { after, end, limit }: { readonly after: Buffer | undefined; readonly end: Buffer; readonly limit: number },
  pace: Pace,
): Promise<Buffer[]> {
  const keys: Buffer[] = [];
  let last = after;
  for (;;) {
    const start = last === undefined ? {} : { start: last, exclusiveStart: true };
    let found = 0;
    // No cursor lives beyond its turn: it would keep the pages of its snapshot from being used again.
    for (const key of table.getKeys({ ...start, end, limit: limit - keys.length })) {
      // Of lmdb-js' own, a plain Uint8Array.
      last = Buffer.from(key);
      keys.push(last);
      found++;
      if (pace.isUp()) break;
    }
    if (found === 0 || keys.length >= limit) return keys;
    if (pace.isUp()) await pace.turn();
  }
}
