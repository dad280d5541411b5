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
  /** Refuses new writes and resolves when those accepted have ended. */
  close(): Promise<void>;
}

export interface WriterOptions {
  /** Runs the function in a transaction that is undone if it throws; resolves after fsync. */
  readonly transact: (run: () => void) => Promise<unknown>;
  /** Runs at the end of each transaction. */
  readonly beforeCommit: () => void;
  /** A transaction has failed; called once, when all that waited has been rejected. */
  readonly onFatal: (error: Error) => void;
  readonly limits?: WriterLimits;
}

export interface WriterLimits {
  /** Of one transaction, so that it does not keep the event loop: a write is some 15 µs of it. */
  readonly batchWrites: number;
  readonly batchBytes: number;
  /** Of writes that wait for the next transaction. */
  readonly waitingWrites: number;
  readonly waitingBytes: number;
}

const DEFAULT_LIMITS: WriterLimits = {
  batchWrites: 512,
  batchBytes: 8 * 1024 * 1024,
  waitingWrites: 10_000,
  waitingBytes: 64 * 1024 * 1024,
};

export function createWriter({
  transact,
  beforeCommit,
  onFatal,
  limits = DEFAULT_LIMITS,
}: WriterOptions): Writer {
  const waiting: Write[] = [];
  let waitingBytes = 0;
  let refusal: StoreUnavailableError | undefined;
  let committing: Promise<void> | undefined;

  return {
    write<T>(bytes: number, run: () => T): Promise<T> {
      if (refusal !== undefined) return Promise.reject(refusal);
      if (waiting.length >= limits.waitingWrites || waitingBytes + bytes > limits.waitingBytes) {
        return Promise.reject(
          new StoreOverloadedError(`${String(waiting.length)} writes wait for the disk already`),
        );
      }
      return new Promise<T>((resolve, reject) => {
        waiting.push({ bytes, run, resolve: resolve as (value: unknown) => void, reject, end: undefined });
        waitingBytes += bytes;
        committing ??= commitAll();
      });
    },

    refusal: () => refusal,

    async close() {
      refusal ??= new StoreUnavailableError('The store is closed');
      await committing;
    },
  };

  async function commitAll(): Promise<void> {
    while (waiting.length > 0) {
      let batch: Write[] = [];
      try {
        await transact(() => {
          // Taken now that the transaction is open: what came while the one before was synced is all in.
          batch = takeBatch();
          for (const write of batch) runOne(write);
          beforeCommit();
        });
      } catch (error) {
        await fail(error, batch);
        break;
      }
      for (const write of batch) write.end?.();
    }
    committing = undefined;
  }

  function takeBatch(): Write[] {
    let bytes = 0;
    let size = 0;
    for (const write of waiting) {
      if (size === limits.batchWrites || (size > 0 && bytes + write.bytes > limits.batchBytes)) break;
      bytes += write.bytes;
      size++;
    }
    waitingBytes -= bytes;
    return waiting.splice(0, size);
  }

  async function fail(error: unknown, batch: readonly Write[]): Promise<void> {
    const cause = await commitCause(error);
    refusal = new StoreUnavailableError(`The store has failed to write: ${cause.message}`, { cause });
    for (const { reject } of batch) reject(refusal);
    for (const { reject } of waiting.splice(0)) reject(refusal);
    waitingBytes = 0;
    onFatal(refusal);
  }
}

interface Write {
  readonly bytes: number;
  readonly run: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  /** Settles the caller, to be called once the transaction is on disk. */
  end: (() => void) | undefined;
}

function runOne(write: Write): void {
  try {
    const result = write.run();
    write.end = () => {
      write.resolve(result);
    };
  } catch (error) {
    if (!(error instanceof CorruptEventError || error instanceof CorruptKeyError)) throw error;
    write.end = () => {
      write.reject(error);
    };
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
