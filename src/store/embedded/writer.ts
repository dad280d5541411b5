import {
  CorruptEventError,
  CorruptKeyError,
  StoreOverloadedError,
  StoreUnavailableError,
} from '../store-errors.ts';
import { UNOBSERVED, type StoreObserver } from '../store-observer.ts';
import type { Call, Write } from './write-lines.ts';
import { createWriteQueue, type WriteQueue } from './write-queue.ts';

/** Group commit: all writes that wait at one moment share one transaction and one fsync. */
export interface Writer {
  /**
   * Runs `run` inside a transaction and resolves with its result once the transaction is on disk. `run` must read before it writes:
   * a `CorruptEventError`, `CorruptKeyError`, `StoreOverloadedError` or `StoreUnavailableError` that it throws before its first put rejects only this call.
   * Any other error undoes the whole batch and ends this writer.
   *
   * Rejects with a `StoreOverloadedError`, without running, when too much waits already or when the write has waited for
   * `waitingMs`; with a `StoreUnavailableError` after close or failure.
   *
   * @param tenant the tenant whose share of the queue the write takes; `NO_TENANT` for internal writes.
   * @param bytes about the bytes that the write holds in memory while it waits.
   * @param writes how many writes it counts as: more than 1 for a call for many events.
   */
  write<T>(tenant: string, bytes: number, run: () => T, writes?: number): Promise<T>;
  /** The reason why no more writes are taken; undefined: writes are taken. */
  refusal(): StoreUnavailableError | undefined;
  /** How long the transaction under way has taken so far, in milliseconds; 0 without one. */
  busyFor(): number;
  /** The number of writes that wait for the next transaction. */
  waiting(): number;
  /**
   * Rejects writes that have waited too long, and fails when the transaction under way has taken `stuckMs`. To be called at
   * intervals, because nothing else notices either while the disk does not answer.
   */
  check(): void;
  /** Refuses new writes. Resolves when the accepted ones have ended, or as soon as the transaction under way is given up. */
  close(): Promise<void>;
}

/** Stands for the tenant of internal writes (API keys, the sweep). They have one share; no tenant can have this name. */
export const NO_TENANT = '';

export interface WriterOptions {
  /** Runs the function in a transaction that is undone if it throws; resolves after fsync. */
  readonly transact: (run: () => void) => Promise<unknown>;
  /** Runs at the end of each transaction, and gets its number of writes. An error that it throws ends this writer. */
  readonly beforeCommit: (writes: number) => void;
  /** Called when a transaction is on disk, after its writes have resolved. */
  readonly afterCommit?: () => void;
  /** Called once, when a transaction has failed and all waiting writes have been rejected. */
  readonly onFatal: (error: Error) => void;
  readonly limits?: WriterLimits;
  /** Whether a transaction takes only one write for the time being. */
  readonly oneByOne?: () => boolean;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic?: () => number;
  readonly observer?: Pick<StoreObserver, 'committed' | 'refused'>;
}

export interface WriterLimits {
  /**
   * Limits of one transaction, so that it does not hold the event loop. A write takes about 15 µs. The time limit is for writes
   * that rewrite 400 KB or wait for pages from disk (400 such acknowledgements at once took 0.5 s without it).
   */
  readonly batchWrites: number;
  readonly batchBytes: number;
  readonly batchMs: number;
  /** Limits of writes that wait for the next transaction. Tenants share them (`../shares.ts`): one alone can have half. */
  readonly waitingWrites: number;
  readonly waitingBytes: number;
  /**
   * How long a write may wait. This is shorter than the 1.8 s after which HTTP answers 503 by itself, because a client that tries
   * again must not find its first event stored as well.
   */
  readonly waitingMs: number;
  /**
   * A write that waits is refused when it would probably not be on disk this long after it came, judged by the last sync.
   * Otherwise the writes of a disk that is slow and overloaded would all get 503 and be stored: each waits as long as it may, and
   * then for its own transaction. With 0.1 s left to the 1.8 s of HTTP, 5 % of them still were, on a busy machine.
   */
  readonly answerMs: number;
  /**
   * A transaction that takes longer will never end. In lmdb-js (3.5.6, writer.cpp) one that cannot begin does not settle, and one
   * that waits for LMDB's lock waits as long as another process holds it.
   */
  readonly stuckMs: number;
}

export const DEFAULT_LIMITS: WriterLimits = {
  batchWrites: 512,
  batchBytes: 8 * 1024 * 1024,
  batchMs: 20,
  waitingWrites: 20_000,
  waitingBytes: 128 * 1024 * 1024,
  waitingMs: 1_500,
  answerMs: 1_500,
  stuckMs: 30_000,
};

export function createWriter(options: WriterOptions): Writer {
  const { transact, beforeCommit, onFatal, limits = DEFAULT_LIMITS, observer = UNOBSERVED } = options;
  const { oneByOne = () => false, monotonic = () => performance.now(), afterCommit } = options;
  const waiting = createWriteQueue(limits, observer);
  let refusal: StoreUnavailableError | undefined;
  let failed = false;
  let committing: Promise<void> | undefined;
  let begun: number | undefined;
  let batch: Write[] = [];
  let giveUp!: () => void;
  const givenUp = new Promise<void>((resolve) => (giveUp = resolve));
  const busyFor = () => (begun === undefined ? 0 : monotonic() - begun);

  return {
    write<T>(tenant: string, bytes: number, run: () => T, writes = 1): Promise<T> {
      if (refusal !== undefined) return Promise.reject(refusal);
      const since = monotonic();
      waiting.rejectLate(since);
      return new Promise<T>((resolve, reject) => {
        const call: Call = { tenant, bytes, writes, since, run, resolve: resolve as Call['resolve'], reject };
        if (waiting.push(call)) committing ??= commitAll();
        else reject(new StoreOverloadedError('Too many writes wait for the disk already'));
      });
    },

    refusal: () => refusal,
    busyFor,

    waiting: waiting.size,

    check() {
      waiting.rejectLate(monotonic());
      if (busyFor() <= limits.stuckMs) return;
      fail(new Error(`a transaction has not ended for ${String(limits.stuckMs / 1000)} s`));
      giveUp();
    },

    async close() {
      refusal ??= new StoreUnavailableError('The store is closed');
      await Promise.race([committing, givenUp]);
    },
  };

  async function commitAll(): Promise<void> {
    while (!waiting.isEmpty()) {
      batch = [];
      begun = monotonic();
      try {
        const run = (): void => {
          runInto(batch, waiting, oneByOne() ? 0 : limits.batchMs, monotonic);
          beforeCommit(writesOf(batch));
        };
        waiting.synced(await timeSync(transact, monotonic, run));
      } catch (error) {
        fail(await commitCause(error));
        break;
      }
      observer.committed(writesOf(batch), monotonic() - begun);
      settle(batch);
      afterCommit?.();
    }
    committing = undefined;
    begun = undefined;
  }

  function fail(cause: Error): void {
    if (failed) return;
    failed = true;
    refusal = new StoreUnavailableError(`The store has failed to write: ${cause.message}`, { cause });
    for (const { reject } of batch) reject(refusal);
    waiting.rejectAll(refusal);
    onFatal(refusal);
  }
}

/** Resolves with the milliseconds from the end of `run` to the end of its transaction. */
async function timeSync(
  transact: WriterOptions['transact'],
  monotonic: () => number,
  run: () => void,
): Promise<number> {
  let ranAt = 0;
  await transact(() => {
    run();
    ranAt = monotonic();
  });
  return monotonic() - ranAt;
}

/** Takes writes once the transaction is open, so that it includes all that came while the previous one was synced. */
function runInto(batch: Write[], waiting: WriteQueue, batchMs: number, monotonic: () => number): void {
  const start = monotonic();
  waiting.begin(start);
  let bytes = 0;
  let writes = 0;
  do {
    const write = waiting.next(writes, bytes);
    if (write === undefined) break;
    batch.push(write);
    bytes += write.bytes;
    writes += write.writes;
    runOne(write);
  } while (monotonic() < start + batchMs);
}

function writesOf(batch: readonly Write[]): number {
  let writes = 0;
  for (const write of batch) writes += write.writes;
  return writes;
}

function settle(batch: readonly Write[]): void {
  for (const { error, result, resolve, reject } of batch) {
    if (error === undefined) resolve(result);
    else reject(error);
  }
}

/** Errors that concern one write and no other. */
const ERRORS_OF_ONE_WRITE = [CorruptEventError, CorruptKeyError, StoreOverloadedError, StoreUnavailableError];

function runOne(write: Write): void {
  try {
    write.result = write.run();
  } catch (error) {
    if (!ERRORS_OF_ONE_WRITE.some((kind) => error instanceof kind)) throw error;
    write.error = error as Error;
  }
}

/**
 * The reason why a transaction failed. For a failed commit lmdb-js (3.5.6, write.js) gives an error without a reason. The reason
 * is in a second promise, `commitError`, which ends the process unless its rejection is handled.
 */
async function commitCause(error: unknown): Promise<Error> {
  const failure = error instanceof Error ? error : new Error(String(error));
  const { commitError } = failure as { commitError?: Promise<unknown> };
  if (commitError === undefined) return failure;
  const reason = await Promise.race([commitError.catch((reason: unknown) => reason), nextTurn()]);
  return reason instanceof Error ? reason : failure;
}

/** If lmdb-js rejects `commitError`, it does so in the turn of the failure. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
