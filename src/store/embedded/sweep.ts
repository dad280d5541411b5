import type { Micros } from '../event.ts';
import { StoreOverloadedError, StoreUnavailableError } from '../store-errors.ts';
import type { Counts } from './counts.ts';
import type { Lmdb } from './database.ts';
import { createExpiredClaims } from './expired-claims.ts';
import { createExpiredEvents } from './expired-events.ts';
import { createPace } from './expired.ts';
import { createLane, takeStep } from './sweep-steps.ts';
import { UNOBSERVED, type StoreObserver } from '../store-observer.ts';
import { NO_TENANT } from './writer.ts';
import type { Writer } from './writer.ts';

interface Parts {
  readonly lmdb: Lmdb;
  readonly writer: Pick<Writer, 'write'>;
  readonly counts: Counts;
  /** Events up to this time may be deleted. That is later than they expire (`retention.ts`). */
  readonly deletableTo: () => Micros;
  /** Claims that end by this time may be deleted. */
  readonly claimsDeletableTo: () => Micros;
  readonly onDamage: (error: Error) => void;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic?: () => number;
  readonly observer?: Pick<StoreObserver, 'expired'>;
}

export interface Sweep {
  /** Deletes what may be deleted. Calls at the same time share one run. Resolves with the number of events deleted. */
  run(): Promise<number>;
  every(milliseconds: number): void;
  /** To be called at the end of a transaction, with its number of writes. Deletes some of what the run under way has found. */
  step(writes: number): void;
  /** Resolves when a run under way has ended: nothing is read any more. */
  stop(): Promise<void>;
}

/**
 * Expired data is found, and its pages are fetched, beside the requests. It is deleted at the end of their transactions, twice as
 * much as was written, so that the sweep keeps up with any rate of ingest. While nobody writes, the sweep has its own transactions.
 */
export function createSweep({ monotonic = () => performance.now(), ...parts }: Parts): Sweep {
  const { writer, onDamage, observer = UNOBSERVED } = parts;
  let running: Promise<number> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  const pace = createPace(() => isStopped, monotonic);
  const events = createLane(createExpiredEvents({ ...parts, pace }), observer.expired);
  const claims = createLane(createExpiredClaims({ ...parts, deletableTo: parts.claimsDeletableTo, pace }));
  const lanes = [events, claims];
  /** A write that begins a transaction when nobody else does. At most one waits. */
  let own: Promise<void> | undefined;
  /** Whether that write is in the transaction under way. */
  let isOwn = false;
  let onStep: () => void = () => undefined;

  return { run, every, step, stop };

  function run(): Promise<number> {
    return (running ??= sweepAll().finally(() => (running = undefined)));
  }

  function every(milliseconds: number): void {
    timer = setInterval(() => {
      run().catch((error: unknown) => {
        // The store is closed, failed or busy. The next run, if there is one, finds the same events.
        if (error instanceof StoreUnavailableError || error instanceof StoreOverloadedError) return;
        // This must not end a process that serves events: it would end again after each start.
        onDamage(new Error('The sweep has failed', { cause: error }));
      });
    }, milliseconds).unref();
  }

  function step(writes: number): void {
    const isAlone = isOwn && writes === 1;
    isOwn = false;
    if (lanes.every((lane) => lane.isEmpty())) return;
    takeStep(lanes, isAlone ? Infinity : writes, monotonic);
    onStep();
  }

  async function stop(): Promise<void> {
    isStopped = true;
    clearInterval(timer);
    onStep();
    await running?.catch(() => undefined);
  }

  async function sweepAll(): Promise<number> {
    for (const lane of lanes) lane.rewind();
    for (;;) {
      await Promise.all(lanes.map((lane) => lane.refill()));
      if (lanes.every((lane) => lane.isDone())) break;
      await nextStep();
    }
    // The last step may not be on disk yet.
    if (lanes.some((lane) => lane.deleted() > 0)) await writer.write(NO_TENANT, 0, () => undefined);
    return events.deleted();
  }

  async function nextStep(): Promise<void> {
    const stepped = new Promise<void>((resolve) => (onStep = resolve));
    own ??= writer
      .write(NO_TENANT, 0, () => {
        isOwn = true;
      })
      .finally(() => (own = undefined));
    const ended = own.catch((error: unknown) => {
      // Other writes fill the queue, and a step runs in their transactions.
      if (error instanceof StoreOverloadedError) return stepped;
      throw error;
    });
    await Promise.race([stepped, ended]);
    if (isStopped) throw new StoreUnavailableError('The store is closed');
  }
}
