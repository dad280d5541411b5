import {
  CorruptEventError,
  CorruptKeyError,
  StoreOverloadedError,
  StoreUnavailableError,
} from '../store-errors.ts';
import { createShares } from '../shares.ts';

/** Group commit: writes that wait at one moment share one transaction and one fsync. */
export interface Writer {
  /**
   * Runs `run` inside a transaction and resolves with its result once that is on disk. `run` reads before it writes: a
   * `CorruptEventError`, `CorruptKeyError` or `StoreUnavailableError` that it throws before its first put is its caller's alone; whatever
   * else it throws undoes the whole batch and is the end of this writer.
   *
   * Rejects with `StoreOverloadedError` and does not run when too much waits, at once, or when it has waited for
   * `waitingMs`; with `StoreUnavailableError` after close or failure.
   *
   * @param tenant whose share of the queue it takes; `NO_TENANT` for what is no tenant's.
   * @param bytes about what the write holds in memory while it waits.
   */
  write<T>(tenant: string, bytes: number, run: () => T): Promise<T>;
  /** Why no more writes are taken. */
  refusal(): StoreUnavailableError | undefined;
  /** For how many milliseconds the transaction under way has been so; 0 without one. */
  busyFor(): number;
  /**
   * Rejects what has waited too long, and fails when the transaction under way has been so for `stuckMs`. To be called every
   * now and then: neither shows by itself while the disk does not answer.
   */
  check(): void;
  /** Refuses new writes and resolves when those accepted have ended, at once when the transaction under way is given up. */
  close(): Promise<void>;
}

/** The tenant of writes that are no tenant's (API keys, the sweep). They have one share, under a text that cannot be a tenant's name. */
export const NO_TENANT = '';

export interface WriterOptions {
  /** Runs the function in a transaction that is undone if it throws; resolves after fsync. */
  readonly transact: (run: () => void) => Promise<unknown>;
  /** Runs at the end of each transaction, told how many writes it has. What it throws is the end of this writer. */
  readonly beforeCommit: (writes: number) => void;
  /** A transaction has failed; called once, when all that waited has been rejected. */
  readonly onFatal: (error: Error) => void;
  readonly limits?: WriterLimits;
  /** Whether a transaction takes one write only, for the time being. */
  readonly oneByOne?: () => boolean;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic?: () => number;
}

export interface WriterLimits {
  /**
   * Of one transaction, so that it does not keep the event loop. A write takes some 15 µs; the time is for those that
   * rewrite 400 KB or wait for pages from disk (400 such acknowledgements at once took 0.5 s without it).
   */
  readonly batchWrites: number;
  readonly batchBytes: number;
  readonly batchMs: number;
  /** Of writes that wait for the next transaction, shared by tenants (`../shares.ts`): one alone can have half. */
  readonly waitingWrites: number;
  readonly waitingBytes: number;
  /**
   * How long a write may wait. Shorter than the 1.8 s after which HTTP answers 503 by itself: who was told to try again must
   * not find the first one stored as well.
   */
  readonly waitingMs: number;
  /**
   * A transaction that takes longer will never end. One that cannot begin does not settle in lmdb-js (3.5.6, writer.cpp), and
   * one that waits for a lock of LMDB waits for as long as another process holds it.
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
  stuckMs: 30_000,
};

export function createWriter({
  transact,
  beforeCommit,
  onFatal,
  limits = DEFAULT_LIMITS,
  oneByOne = () => false,
  monotonic = () => performance.now(),
}: WriterOptions): Writer {
  const waiting = createQueue(limits);
  let refusal: StoreUnavailableError | undefined;
  let failed = false;
  let committing: Promise<void> | undefined;
  let begun: number | undefined;
  let batch: Write[] = [];
  let giveUp!: () => void;
  const givenUp = new Promise<void>((resolve) => (giveUp = resolve));
  const busyFor = () => (begun === undefined ? 0 : monotonic() - begun);

  return {
    write<T>(tenant: string, bytes: number, run: () => T): Promise<T> {
      if (refusal !== undefined) return Promise.reject(refusal);
      const since = monotonic();
      waiting.rejectLate(since);
      return new Promise<T>((resolve, reject) => {
        const write = newWrite(tenant, bytes, since, run, resolve as Write['resolve'], reject);
        if (waiting.push(write)) committing ??= commitAll();
        else reject(new StoreOverloadedError('Too many writes wait for the disk already'));
      });
    },

    refusal: () => refusal,

    busyFor,

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
        await transact(() => {
          runInto(batch, waiting, oneByOne() ? 0 : limits.batchMs, monotonic);
          beforeCommit(batch.length);
        });
      } catch (error) {
        fail(await commitCause(error));
        break;
      }
      settle(batch);
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

/** Takes writes now that the transaction is open: what came while the one before was synced is all in. */
function runInto(batch: Write[], waiting: Queue, batchMs: number, monotonic: () => number): void {
  const start = monotonic();
  waiting.rejectLate(start);
  let bytes = 0;
  do {
    const write = waiting.next(batch.length, bytes);
    if (write === undefined) break;
    batch.push(write);
    bytes += write.bytes;
    runOne(write);
  } while (monotonic() < start + batchMs);
}

interface Write {
  readonly tenant: string;
  readonly bytes: number;
  /** When it came. */
  readonly since: number;
  readonly run: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  /** What `run` returned or threw: its caller learns it once the transaction is on disk. */
  result: unknown;
  error: Error | undefined;
}

function newWrite(
  tenant: string,
  bytes: number,
  since: number,
  run: () => unknown,
  resolve: Write['resolve'],
  reject: Write['reject'],
): Write {
  return { tenant, bytes, since, run, resolve, reject, result: undefined, error: undefined };
}

type Queue = ReturnType<typeof createQueue>;

/** Writes in the order of their calls, bounded by time, and by number and bytes, which tenants share. */
function createQueue({ batchWrites, batchBytes, waitingWrites, waitingBytes, waitingMs }: WriterLimits) {
  const places = createShares(waitingWrites);
  const memory = createShares(waitingBytes);
  let writes: Write[] = [];
  let head = 0;

  return {
    isEmpty: () => head === writes.length,

    /** False: its tenant's share is used up. */
    push(write: Write): boolean {
      if (!places.take(write.tenant, 1)) return false;
      if (!memory.take(write.tenant, write.bytes)) {
        places.give(write.tenant, 1);
        return false;
      }
      writes.push(write);
      return true;
    },

    /** The next write that goes into a batch of so many writes and bytes; the first always does. */
    next(size: number, bytes: number): Write | undefined {
      const write = writes[head];
      if (write === undefined) return undefined;
      if (size > 0 && (size >= batchWrites || bytes + write.bytes > batchBytes)) return undefined;
      return take(write);
    },

    rejectLate(now: number): void {
      // They lie in the order of their coming, so the late ones are the first.
      for (let write = writes[head]; write && now - write.since > waitingMs; write = writes[head]) {
        take(write).reject(
          new StoreOverloadedError('The write has waited too long for the disk and was not run'),
        );
      }
    },

    rejectAll(error: Error): void {
      for (let write = writes[head]; write; write = writes[head]) take(write).reject(error);
    },
  };

  function take(write: Write): Write {
    places.give(write.tenant, 1);
    memory.give(write.tenant, write.bytes);
    // The taken ones are let go in one go: a `shift` each would move the whole queue.
    if (++head === writes.length || head === batchWrites) {
      writes = writes.slice(head);
      head = 0;
    }
    return write;
  }
}

function settle(batch: readonly Write[]): void {
  for (const { error, result, resolve, reject } of batch) {
    if (error === undefined) resolve(result);
    else reject(error);
  }
}

/** What is wrong with one write and no other. */
const ERRORS_OF_ONE_WRITE = [CorruptEventError, CorruptKeyError, StoreUnavailableError];

function runOne(write: Write): void {
  try {
    write.result = write.run();
  } catch (error) {
    if (!ERRORS_OF_ONE_WRITE.some((kind) => error instanceof kind)) throw error;
    write.error = error as Error;
  }
}

/**
 * What a transaction failed of. A failed commit comes from lmdb-js (3.5.6, write.js) as an error without a reason,
 * and the reason as a second promise, `commitError`, which ends the process unless someone takes its rejection.
 */
async function commitCause(error: unknown): Promise<Error> {
  const failure = error instanceof Error ? error : new Error(String(error));
  const { commitError } = failure as { commitError?: Promise<unknown> };
  if (commitError === undefined) return failure;
  const reason = await Promise.race([commitError.catch((reason: unknown) => reason), nextTurn()]);
  return reason instanceof Error ? reason : failure;
}

/** lmdb-js rejects `commitError` in the turn of the failure, if at all. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
