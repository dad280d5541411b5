import type { Backlog, Deletion } from './expired.ts';

/** Deletions of one kind that wait for a transaction: about 4 MB. */
const AHEAD = 8_192;
/** Deletions of one kind before the other kind has its turn. */
const TURN = 32;
/** Time for further deletions in a transaction that others wait for, once as many were deleted as written. */
const STEP_MS = 4;

/** One kind of expired data: deletions that are ready for the next transaction, and the source of more. */
export interface Lane {
  /** Starts a new run. What a failed run has left is found again. */
  rewind(): void;
  /** Adds deletions once half of those that were ready have been taken. */
  refill(): Promise<void>;
  isEmpty(): boolean;
  /** Nothing is ready, and nothing more has expired. */
  isDone(): boolean;
  /** Runs up to this many deletions, within a transaction. */
  take(count: number): void;
  /** The number of deletions of this run that really removed something. */
  deleted(): number;
}

/** @param onDeleted gets the number of deletions of each turn that really removed something. */
export function createLane(backlog: Backlog, onDeleted: (count: number) => void = () => undefined): Lane {
  let ready: Deletion[] = [];
  let isLast = false;
  let deleted = 0;
  return {
    rewind() {
      backlog.rewind();
      ready = [];
      isLast = false;
      deleted = 0;
    },
    async refill() {
      // Also after nothing more was found: the run lasts as long as the other kind has something, and more may have expired.
      if (ready.length > AHEAD / 2) return;
      const more = await backlog.next(AHEAD / 2);
      ready.push(...more);
      isLast = more.length === 0;
    },
    isEmpty: () => ready.length === 0,
    isDone: () => isLast && ready.length === 0,
    take(count) {
      const before = deleted;
      for (const remove of ready.splice(0, count)) if (remove()) deleted++;
      if (deleted > before) onDeleted(deleted - before);
    },
    deleted: () => deleted,
  };
}

/**
 * One step, at the end of a transaction: the lanes take turns until each has deleted twice as many as were written. It ends early
 * when it takes too long, but not before as many were deleted as written, because the file would grow.
 *
 * @param writes number of writes in the transaction. Infinity: nobody waits for it, and only time ends the step.
 */
export function takeStep(lanes: readonly Lane[], writes: number, monotonic: () => number): void {
  const until = monotonic() + STEP_MS;
  const isOwn = writes === Infinity;
  for (let done = 0; done < 2 * writes && lanes.some((lane) => !lane.isEmpty());) {
    for (const lane of lanes) lane.take(TURN);
    done += TURN;
    if ((isOwn || done >= writes) && monotonic() > until) return;
  }
}
