import { StoreOverloadedError, StoreUnavailableError } from '../errors.ts';

/**
 * Writes of many callers, sent together. While nothing is under way nothing waits: what arrives at one moment goes at
 * its end, and what arrives until the answer makes up the next batch. A batch that is full goes at once, beside the
 * others.
 *
 * An item is handed to `sendBatch` again only when that send is known not to have applied it: `sendBatch` has no
 * condition, and a second, late put of an event would turn an acknowledged one pending again.
 */
export interface GroupCommit<T> {
  /**
   * Resolves when the item is stored. Rejects, at `deadline` at the latest, with a `StoreOverloadedError` when it was
   * not sent, with a `StoreUnavailableError` when it may have been, or with what the transport said.
   *
   * @param deadline in milliseconds of the clock.
   */
  add(item: T, deadline: number): Promise<void>;
  /** Refuses new items; resolves when every accepted one is settled. */
  close(): Promise<void>;
}

export interface GroupCommitOptions<T> {
  /** Puts all items without condition. Resolves with those that it did not put. `deadline`: when nobody waits any more. */
  readonly sendBatch: (items: readonly T[], deadline: number) => Promise<readonly T[]>;
  /** Puts one item unless it is there already, trying until `deadline`. Resolves when it is there. */
  readonly sendOne: (item: T, deadline: number) => Promise<void>;
  readonly verdict: (error: unknown) => Verdict;
  readonly bytes: (item: T) => number;
  readonly limits: GroupCommitLimits;
  readonly clock: BatchClock;
  /** 0 up to 1. */
  readonly random: () => number;
}

/**
 * What follows from an error of `sendBatch`. `again`: nothing was applied and the whole batch may be sent again.
 * `singly`: something may have been applied, or one item spoils the rest. `fail`: nothing was applied, nor will be.
 */
export type Verdict = 'again' | 'singly' | 'fail';

export interface GroupCommitLimits {
  readonly batchItems: number;
  /** An item larger than this goes alone. */
  readonly batchBytes: number;
  /** Batches under way at a time. */
  readonly slots: number;
  /** Items waiting to be sent, those in backoff included; beyond, `add` refuses. */
  readonly queuedItems: number;
  readonly queuedBytes: number;
  /** Longest wait before the first repetition; it doubles with each further one, up to `backoffCapMs`. */
  readonly backoffMs: number;
  readonly backoffCapMs: number;
}

export interface BatchClock {
  /** Milliseconds, never going back. */
  now(): number;
  /** Calls `run` after `ms`, unless the returned function is called before. */
  schedule(ms: number, run: () => void): () => void;
  /** Calls `run` at the end of this moment, when all that has arrived by now has been dealt with. No waiting. */
  defer(run: () => void): void;
}

export function createGroupCommit<T>(options: GroupCommitOptions<T>): GroupCommit<T> {
  const { limits, clock } = options;
  const queue = createQueue<T>(limits);
  const pump = createPump(options, queue);
  let unsettled = 0;
  let closing: Promise<void> | undefined;
  let drained: () => void = () => undefined;

  return {
    add(item, deadline) {
      if (closing) return Promise.reject(new StoreUnavailableError('the store is closed'));
      const bytes = options.bytes(item);
      if (!queue.hasRoomFor(bytes)) {
        return Promise.reject(new StoreOverloadedError('too many writes are waiting'));
      }
      return new Promise((resolve, reject) => {
        const entry = createEntry(item, bytes, deadline, (error) => {
          stopTimer();
          queue.remove(entry);
          if (error === undefined) resolve();
          else reject(error);
          if (--unsettled === 0) drained();
        });
        const stopTimer = clock.schedule(Math.max(0, deadline - clock.now()), () => {
          entry.settle(lateError(entry));
        });
        unsettled += 1;
        queue.append(entry);
        pump();
      });
    },

    close() {
      closing ??= new Promise((resolve) => {
        drained = resolve;
        if (unsettled === 0) resolve();
      });
      return closing;
    },
  };
}

/** The returned function starts as many batches as may start now. */
function createPump<T>(options: GroupCommitOptions<T>, queue: Queue<T>): () => void {
  const { limits, clock } = options;
  let slotsTaken = 0;
  let partialUnderWay = false;
  let deferred = false;
  return pump;

  function pump(): void {
    startFull();
    if (deferred || partialUnderWay || slotsTaken === limits.slots || queue.size() === 0) return;
    deferred = true;
    // Callers that one answer has set free write again at one moment: the first of them must not go alone.
    clock.defer(() => {
      deferred = false;
      startFull();
      if (!partialUnderWay && slotsTaken < limits.slots && queue.size() > 0) start(true);
    });
  }

  function startFull(): void {
    while (slotsTaken < limits.slots && queue.fillsBatch()) start(false);
  }

  function start(partial: boolean): void {
    if (partial) partialUnderWay = true;
    slotsTaken += 1;
    void commit(queue.takeBatch(), partial);
  }

  /** One batch from the send to the last of its callers. Never rejects: every error ends at a caller. */
  async function commit(batch: readonly Entry<T>[], partial: boolean): Promise<void> {
    const error = await send(batch);
    // Before what may follow for single items: that is no batch, and must not keep the next partial one waiting.
    if (partial) partialUnderWay = false;
    if (error !== undefined) {
      const verdict = options.verdict(error);
      if (verdict === 'again') postpone(batch, queue, options, pump);
      else if (verdict === 'fail') for (const entry of batch) entry.settle(error);
      else {
        pump();
        await Promise.all(batch.map((entry) => putSingly(entry, options)));
      }
    }
    slotsTaken -= 1;
    pump();
  }

  /** Settles what was put and postpones the rest. Resolves with the error when it is not known what was put. */
  async function send(batch: readonly Entry<T>[]): Promise<unknown> {
    for (const entry of batch) entry.state = 'sent';
    const items = batch.map(({ item }) => item);
    const deadline = Math.max(...batch.map(({ deadline }) => deadline));
    try {
      const unprocessed = new Set(await options.sendBatch(items, deadline));
      const left = batch.filter(({ item }) => unprocessed.has(item));
      postpone(left, queue, options, pump);
      for (const entry of batch) if (!unprocessed.has(entry.item)) entry.settle();
      return undefined;
    } catch (error) {
      return error ?? new Error('the transport failed without a reason');
    }
  }
}

async function putSingly<T>(entry: Entry<T>, options: GroupCommitOptions<T>): Promise<void> {
  if (entry.settled()) return;
  try {
    await options.sendOne(entry.item, entry.deadline);
    entry.settle();
  } catch (error) {
    entry.settle(error);
  }
}

/** Known not to be applied: back to the head of the queue, together, after a pause that holds no slot. */
function postpone<T>(
  batch: readonly Entry<T>[],
  queue: Queue<T>,
  options: GroupCommitOptions<T>,
  pump: () => void,
): void {
  const { limits, clock } = options;
  const waiting = batch.filter((entry) => !entry.settled());
  if (waiting.length === 0) return;
  for (const entry of waiting) queue.park(entry);
  const attempts = Math.max(...waiting.map((entry) => ++entry.attempts));
  const longest = Math.min(limits.backoffCapMs, limits.backoffMs * 2 ** (attempts - 1));
  clock.schedule(longest * (0.5 + options.random() / 2), () => {
    for (const entry of waiting) queue.unpark(entry);
    pump();
  });
}

interface Entry<T> {
  readonly item: T;
  readonly bytes: number;
  readonly deadline: number;
  /** `sent`: may be applied. The other states: certainly not. */
  state: 'queued' | 'parked' | 'sent';
  attempts: number;
  /** The first call counts. */
  settle(error?: unknown): void;
  settled(): boolean;
}

function createEntry<T>(
  item: T,
  bytes: number,
  deadline: number,
  onSettled: (error: Error | undefined) => void,
): Entry<T> {
  let done = false;
  return {
    item,
    bytes,
    deadline,
    state: 'queued',
    attempts: 0,
    settled: () => done,
    settle(error) {
      if (done) return;
      done = true;
      onSettled(error === undefined || error instanceof Error ? error : new Error(JSON.stringify(error)));
    },
  };
}

function lateError(entry: Entry<unknown>): Error {
  if (entry.state === 'sent') return new StoreUnavailableError('no answer from the store in time');
  return new StoreOverloadedError(
    entry.attempts > 0 ? 'the store throttles writes' : 'the write was not sent in time',
  );
}

type Queue<T> = ReturnType<typeof createQueue<T>>;

/** Items waiting, in the order in which they go; sets, because a caller that gives up may leave from anywhere. */
function createQueue<T>(limits: GroupCommitLimits) {
  const repeated = new Set<Entry<T>>();
  const fresh = new Set<Entry<T>>();
  const parked = new Set<Entry<T>>();
  const held = { items: 0, bytes: 0 };
  let parkedBytes = 0;

  const hold = (entry: Entry<T>, sign: 1 | -1) => {
    held.items += sign;
    held.bytes += sign * entry.bytes;
  };

  return {
    size: () => repeated.size + fresh.size,
    hasRoomFor: (bytes: number) =>
      held.items < limits.queuedItems && (held.items === 0 || held.bytes + bytes <= limits.queuedBytes),

    append(entry: Entry<T>): void {
      fresh.add(entry);
      hold(entry, 1);
    },

    /** Whether waiting any longer could not make the next batch larger. */
    fillsBatch: () =>
      repeated.size + fresh.size >= limits.batchItems || held.bytes - parkedBytes >= limits.batchBytes,

    takeBatch(): readonly Entry<T>[] {
      const batch: Entry<T>[] = [];
      let bytes = 0;
      for (const set of [repeated, fresh]) {
        for (const entry of set) {
          if (batch.length === limits.batchItems) return batch;
          if (batch.length > 0 && bytes + entry.bytes > limits.batchBytes) return batch;
          set.delete(entry);
          hold(entry, -1);
          bytes += entry.bytes;
          batch.push(entry);
        }
      }
      return batch;
    },

    park(entry: Entry<T>): void {
      entry.state = 'parked';
      parked.add(entry);
      parkedBytes += entry.bytes;
      hold(entry, 1);
    },

    /** Nothing happens when its caller has given up. */
    unpark(entry: Entry<T>): void {
      if (!parked.delete(entry)) return;
      parkedBytes -= entry.bytes;
      entry.state = 'queued';
      repeated.add(entry);
    },

    remove(entry: Entry<T>): void {
      if (parked.delete(entry)) parkedBytes -= entry.bytes;
      else if (!repeated.delete(entry) && !fresh.delete(entry)) return;
      hold(entry, -1);
    },
  };
}
