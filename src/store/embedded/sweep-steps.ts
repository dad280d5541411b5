import type { Backlog, Deletion } from './expired.ts';

/** Deletions that wait for a transaction, of one kind: some 4 MB. */
const AHEAD = 8_192;
/** Deletions of one kind before it is the other's turn. */
const TURN = 32;
/** Of a transaction that holds up others, beyond what keeps pace with them. */
const STEP_MS = 4;

/** One kind of what expires: deletions that are ready for the next transaction, and where more come from. */
export interface Lane {
  /** For a new run: what one that has failed left is found again. */
  rewind(): void;
  /** Adds to what is ready once half of it has been taken. */
  refill(): Promise<void>;
  isEmpty(): boolean;
  /** Nothing is ready, and nothing more has expired. */
  isDone(): boolean;
  /** Within a transaction: runs up to so many deletions. */
  take(count: number): void;
  /** How many things the run has deleted that were there. */
  deleted(): number;
}

export function createLane(backlog: Backlog): Lane {
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
      if (isLast || ready.length > AHEAD / 2) return;
      const more = await backlog.next(AHEAD / 2);
      ready.push(...more);
      isLast = more.length === 0;
    },
    isEmpty: () => ready.length === 0,
    isDone: () => isLast && ready.length === 0,
    take(count) {
      for (const remove of ready.splice(0, count)) if (remove()) deleted++;
    },
    deleted: () => deleted,
  };
}

/**
 * One step, at the end of a transaction: the lanes take turns until each has deleted twice as many as were written. Time ends it
 * sooner, but not before as many as were written, or the file would grow.
 *
 * @param writes of the transaction; Infinity: it holds up nobody, and time alone ends the step.
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
