import {
  CorruptEventError,
  CorruptKeyError,
  StoreOverloadedError,
  StoreUnavailableError,
} from '../errors.ts';

/** Group commit: writes that wait at one moment share one transaction and one fsync. */
export interface Writer {
  /**
   * Runs `run` inside a transaction and resolves with its result once that is on disk. `run` reads before it writes: a
   * `CorruptEventError` or `CorruptKeyError` that it throws before its first put is its caller's alone; whatever else it throws undoes the
   * whole batch and is the end of this writer.
   *
   * Rejects with `StoreOverloadedError` at once when too much waits, with `StoreUnavailableError` after close or failure.
   *
   * @param bytes about what the write holds in memory while it waits.
   */
  write<T>(bytes: number, run: () => T): Promise<T>;
  /** Why no more writes are taken. */
  refusal(): StoreUnavailableError | undefined;
  /** For how many milliseconds the transaction under way has been so; 0 without one. */
  busyFor(): number;
  /** Refuses new writes and resolves when those accepted have ended. */
  close(): Promise<void>;
}

export interface WriterOptions {
  /** Runs the function in a transaction that is undone if it throws; resolves after fsync. */
  readonly transact: (run: () => void) => Promise<unknown>;
  /** Runs at the end of each transaction, told how many writes it has. What it throws is the end of this writer. */
  readonly beforeCommit: (writes: number) => void;
  /** A transaction has failed; called once, when all that waited has been rejected. */
  readonly onFatal: (error: Error) => void;
  readonly limits?: WriterLimits;
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
  /** Of writes that wait for the next transaction. */
  readonly waitingWrites: number;
  readonly waitingBytes: number;
}

const DEFAULT_LIMITS: WriterLimits = {
  batchWrites: 512,
  batchBytes: 8 * 1024 * 1024,
  batchMs: 20,
  waitingWrites: 10_000,
  waitingBytes: 64 * 1024 * 1024,
};

export function createWriter({
  transact,
  beforeCommit,
  onFatal,
  limits = DEFAULT_LIMITS,
  monotonic = () => performance.now(),
}: WriterOptions): Writer {
  const waiting = createQueue(limits);
  let refusal: StoreUnavailableError | undefined;
  let committing: Promise<void> | undefined;
  let begun: number | undefined;

  return {
    write<T>(bytes: number, run: () => T): Promise<T> {
      if (refusal !== undefined) return Promise.reject(refusal);
      if (waiting.isFull(bytes)) {
        return Promise.reject(new StoreOverloadedError('Too many writes wait for the disk already'));
      }
      return new Promise<T>((resolve, reject) => {
        waiting.push(newWrite(bytes, run, resolve as (value: unknown) => void, reject));
        committing ??= commitAll();
      });
    },

    refusal: () => refusal,

    busyFor: () => (begun === undefined ? 0 : monotonic() - begun),

    async close() {
      refusal ??= new StoreUnavailableError('The store is closed');
      await committing;
    },
  };

  async function commitAll(): Promise<void> {
    while (!waiting.isEmpty()) {
      const batch: Write[] = [];
      begun = monotonic();
      try {
        await transact(() => {
          runInto(batch);
        });
      } catch (error) {
        await fail(error, batch);
        break;
      }
      settle(batch);
    }
    committing = undefined;
    begun = undefined;
  }

  /** Takes writes now that the transaction is open: what came while the one before was synced is all in. */
  function runInto(batch: Write[]): void {
    const until = monotonic() + limits.batchMs;
    let bytes = 0;
    do {
      const write = waiting.next(batch.length, bytes);
      if (write === undefined) break;
      batch.push(write);
      bytes += write.bytes;
      runOne(write);
    } while (monotonic() < until);
    beforeCommit(batch.length);
  }

  async function fail(error: unknown, batch: readonly Write[]): Promise<void> {
    const cause = await commitCause(error);
    refusal = new StoreUnavailableError(`The store has failed to write: ${cause.message}`, { cause });
    for (const { reject } of batch) reject(refusal);
    for (const { reject } of waiting.takeAll()) reject(refusal);
    onFatal(refusal);
  }
}

interface Write {
  readonly bytes: number;
  readonly run: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  /** What `run` returned or threw: its caller learns it once the transaction is on disk. */
  result: unknown;
  error: Error | undefined;
}

function newWrite(
  bytes: number,
  run: () => unknown,
  resolve: (value: unknown) => void,
  reject: (error: Error) => void,
): Write {
  return { bytes, run, resolve, reject, result: undefined, error: undefined };
}

/** Writes in the order of their calls, bounded by number and bytes. */
function createQueue({ batchWrites, batchBytes, waitingWrites, waitingBytes }: WriterLimits) {
  let writes: Write[] = [];
  let head = 0;
  let held = 0;
  return {
    isEmpty: () => head === writes.length,
    isFull: (bytes: number) => writes.length - head >= waitingWrites || held + bytes > waitingBytes,
    push(write: Write) {
      writes.push(write);
      held += write.bytes;
    },
    /** The next write that goes into a batch of so many writes and bytes; the first always does. */
    next(size: number, bytes: number): Write | undefined {
      const write = writes[head];
      if (write === undefined) return undefined;
      if (size > 0 && (size >= batchWrites || bytes + write.bytes > batchBytes)) return undefined;
      held -= write.bytes;
      // The taken ones are let go in one go: a `shift` each would move the whole queue.
      if (++head === writes.length || head === batchWrites) {
        writes = writes.slice(head);
        head = 0;
      }
      return write;
    },
    takeAll() {
      const rest = writes.slice(head);
      writes = [];
      head = held = 0;
      return rest;
    },
  };
}

function settle(batch: readonly Write[]): void {
  for (const { error, result, resolve, reject } of batch) {
    if (error === undefined) resolve(result);
    else reject(error);
  }
}

function runOne(write: Write): void {
  try {
    write.result = write.run();
  } catch (error) {
    if (!(error instanceof CorruptEventError || error instanceof CorruptKeyError)) throw error;
    write.error = error;
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
