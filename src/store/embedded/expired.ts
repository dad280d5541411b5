import { StoreUnavailableError } from '../store-errors.ts';
import type { Table } from './database.ts';
import { sequenceKey } from './sequence.ts';
import type { Sequence } from './sequence.ts';

/** Deletes one thing that has expired, within a transaction of the writer. Returns false when it was gone. Damage is no error. */
export type Deletion = () => boolean;

/** What has expired of one kind, oldest first. */
export interface Backlog {
  /** Makes the next call of `next` start with the oldest again. */
  rewind(): void;
  /** At most `limit` deletions, whose pages are in memory. An empty list: nothing more has expired. */
  next(limit: number): Promise<Deletion[]>;
}

/** Lets a backlog be read beside the requests: in short turns of the event loop, and with pages that a thread has fetched. */
export interface Pace {
  /** Whether this turn of the event loop has taken long enough. */
  isUp(): boolean;
  /** Waits for the next turn. Rejects with `StoreUnavailableError` once the store is closing: nothing may be read any more. */
  turn(): Promise<void>;
  /** Brings the pages of these keys into memory: a page fault would hold the event loop. Rejects as `turn` does. */
  prefetch(table: Table, keys: readonly Buffer[]): Promise<void>;
}

/** Length of a turn: about as long as a transaction holds the event loop. */
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
      // A thread of libuv's pool looks up each key, and reads a byte of each page of its value (lmdb-js 3.5.6, dbi.cpp).
      // A key that does not exist leads to the page where it would be.
      await table.prefetch([...keys]);
      resume();
    },
  };
}

/**
 * Keys that lead to the pages of the next entries of a table that is in the order of time, before these entries are known:
 * reading their keys would already cause page faults. It is assumed that the next entries are as far apart as the last ones.
 */
export interface Probes {
  /** Takes what was found: `count` entries from `first` to `last`. */
  learn(first: Sequence, last: Sequence, count: number): void;
  /** Keys for the next `count` entries. */
  keys(count: number): Buffer[];
}

/** @param entriesAProbe fewer entries than a page has. */
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
    // No cursor lives longer than a turn: it would keep the pages of its snapshot from being reused.
    for (const key of table.getKeys({ ...start, end, limit: limit - keys.length })) {
      // lmdb-js returns a plain Uint8Array that it will reuse.
      last = Buffer.from(key);
      keys.push(last);
      found++;
      if (pace.isUp()) break;
    }
    if (found === 0 || keys.length >= limit) return keys;
    if (pace.isUp()) await pace.turn();
  }
}
