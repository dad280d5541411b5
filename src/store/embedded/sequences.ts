import type { Micros } from '../event.ts';
import type { Lmdb } from './database.ts';
import { newestDone } from './done.ts';
import { isIntact } from './seal.ts';
import { sequenceOf, type Sequence } from './sequence.ts';

/** The newest event that a store held when it was opened. */
export interface NewestRecord {
  /** Sequence of the newest intact record; 0 without one. */
  readonly sequence: Sequence;
  /** Places after it that damaged records occupy. Their keys may be damaged as well, and show any time. */
  readonly damagedAfter: ReadonlySet<Sequence>;
}

/** Gives out the places of events, each once. */
export interface Sequences {
  /** A place behind all that were given out before, at that time or later. */
  readonly next: (from: Micros) => Sequence;
  /** The last place that was given out, whether or not its event is on disk yet. */
  readonly newest: () => Sequence;
}

/** Goes on behind the newest event. When damage has taken it, its acknowledgement may be left, and would be taken for another's. */
export function createSequences({ done }: Pick<Lmdb, 'done'>, newest: NewestRecord): Sequences {
  let last = Math.max(newest.sequence, newestDone(done));
  return {
    next(from) {
      do {
        last = Math.max(last + 1, from);
      } while (newest.damagedAfter.has(last));
      return last;
    },
    newest: () => last,
  };
}

export function newestRecord({ events }: Lmdb): NewestRecord {
  const damagedAfter = new Set<Sequence>();
  for (const { key, value } of events.getRange({ reverse: true })) {
    const sequence = sequenceOf(key);
    if (sequence === undefined) continue;
    if (isIntact(key, value)) return { sequence, damagedAfter };
    damagedAfter.add(sequence);
  }
  return { sequence: 0, damagedAfter };
}
