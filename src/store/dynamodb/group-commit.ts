import { StoreOverloadedError, StoreUnavailableError } from '../store-errors.ts';
import { createCommitQueue, type CommitQueue, type Entry, type QueueLimits } from './commit-queue.ts';
import { SINGLE_COST, SUCCESS, type Retries } from './retries.ts';
import { createTurns, type Turns } from './turns.ts';
import { UNOBSERVED, type StoreObserver } from '../store-observer.ts';

/**
 * Sends writes of many callers together. While nothing is under way nothing waits: items that arrive at one moment are sent at
 * its end, and items that arrive before the answer form the next batch. A full batch is sent at once, beside the others. Tenants
 * take turns in the queue, in each batch and after it: `commit-queue.ts`.
 *
 * An item is given to `sendBatch` again only when the last send has certainly not applied it: `sendBatch` has no condition, and a
 * second, late put would make an acknowledged event pending again.
 */
export interface GroupCommit<T> {
  /**
   * Resolves when the item is stored. Rejects, at `deadline` at the latest, with a `StoreOverloadedError` when it was not sent,
   * with a `StoreUnavailableError` when it may have been, or with the error of the transport.
   *
   * @param deadline in milliseconds of the clock. Once it has passed the item is refused, because its caller has an answer already.
   */
  add(item: T, deadline: number): Promise<void>;
  /** The most items of that tenant that would be accepted now, if they are small. */
  room(tenant: string): number;
  /** The number of items that are accepted and not settled. */
  unsettled(): number;
  /** Refuses new items; resolves when every accepted one is settled. */
  close(): Promise<void>;
}

export interface GroupCommitOptions<T> {
  /** Puts all items without condition. Resolves with those that were not put. After `deadline` nobody waits any more. */
  readonly sendBatch: (items: readonly T[], deadline: number) => Promise<readonly T[]>;
  /** Puts one item unless it exists already, and tries until `deadline`. Resolves when the item exists. */
  readonly sendOne: (item: T, deadline: number) => Promise<void>;
  readonly verdict: (error: unknown) => Verdict;
  readonly tenant: (item: T) => string;
  readonly bytes: (item: T) => number;
  readonly limits: GroupCommitLimits;
  readonly clock: BatchClock;
  /** An item that is put singly has been sent before, so it takes from the budget. Stored items give back. */
  readonly retries: Pick<Retries, 'take' | 'give'>;
  /** Gives numbers from 0 up to 1. */
  readonly random: () => number;
  readonly observer?: Pick<StoreObserver, 'committed' | 'refused'>;
}

/**
 * What follows from an error of `sendBatch`. `retry`: nothing was applied, and the whole batch may be sent again. `unreached`: the
 * same, because the batch was never sent. `singly`: something may have been applied, or one item spoils the rest. `fail`: nothing
 * was applied, and never will be.
 */
export type Verdict = 'retry' | 'unreached' | 'singly' | 'fail';

export interface GroupCommitLimits extends QueueLimits {
  /** Batches under way at a time. */
  readonly slots: number;
  /** Items put singly at a time, over all batches: a batch that failed must not become 25 requests at once. */
  readonly singles: number;
  /** Longest wait before the items of a batch are put singly. */
  readonly singlesPauseMs: number;
  /** Longest wait before the first retry. It doubles with each further one, up to `backoffCapMs`. */
  readonly backoffMs: number;
  readonly backoffCapMs: number;
}

export interface BatchClock {
  /** Milliseconds that never go back. */
  now(): number;
  /** Calls `run` after `ms` milliseconds, unless the returned function is called before. */
  schedule(ms: number, run: () => void): () => void;
  /** Calls `run` without waiting, once all that has arrived by now has been handled. */
  defer(run: () => void): void;
}

export function createGroupCommit<T>(options: GroupCommitOptions<T>): GroupCommit<T> {
  const { limits, clock, observer = UNOBSERVED } = options;
  const queue = createCommitQueue<T>(limits);
  const pump = createPump(options, queue);
  let unsettled = 0;
  let closing: Promise<void> | undefined;
  let drained: () => void = () => undefined;

  return {
    add(item, deadline) {
      if (closing) return Promise.reject(new StoreUnavailableError('the store is closed'));
      const left = deadline - clock.now();
      if (left <= 0) return Promise.reject(new StoreOverloadedError(NOT_SENT));
      return new Promise((resolve, reject) => {
        const entry = createEntry(options, item, deadline, (error) => {
          stopTimer();
          queue.release(entry);
          if (error === undefined) resolve();
          else reject(error);
          if (--unsettled === 0) drained();
        });
        if (!queue.admit(entry)) {
          observer.refused();
          reject(new StoreOverloadedError('too many writes are waiting'));
          return;
        }
        const stopTimer = clock.schedule(left, () => {
          const error = lateError(entry);
          if (error instanceof StoreOverloadedError) observer.refused();
          entry.settle(error);
        });
        unsettled += 1;
        pump();
      });
    },

    room: (tenant) => queue.room(tenant),

    unsettled: () => unsettled,

    close() {
      closing ??= new Promise((resolve) => {
        drained = resolve;
        if (unsettled === 0) resolve();
      });
      return closing;
    },
  };
}

const NOT_SENT = 'the write was not sent in time';

/** The returned function starts as many batches as may start now. */
function createPump<T>(options: GroupCommitOptions<T>, queue: CommitQueue<T>): () => void {
  const { limits, clock, retries, observer = UNOBSERVED } = options;
  const singles = createTurns(limits.singles);
  let slotsTaken = 0;
  let partialUnderWay = false;
  let deferred = false;
  return pump;

  function pump(): void {
    startFull();
    if (deferred || partialUnderWay || slotsTaken === limits.slots || queue.size() === 0) return;
    deferred = true;
    // Callers that get their answers at the same moment write again at the same moment. The first must not be sent alone.
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

  /** One batch, from the send to the last of its callers. Never rejects: every error goes to a caller. */
  async function commit(batch: readonly Entry<T>[], partial: boolean): Promise<void> {
    const begun = clock.now();
    const error = await send(batch);
    observer.committed(batch.length, clock.now() - begun);
    // Before single items may follow: they are no batch, and must not make the next partial batch wait.
    if (partial) partialUnderWay = false;
    if (error !== undefined) {
      const verdict = options.verdict(error);
      if (verdict === 'retry' || verdict === 'unreached') {
        for (const entry of batch) entry.unreached = verdict === 'unreached';
        postpone(batch, queue, options, pump);
      } else if (verdict === 'fail') for (const entry of batch) entry.settle(error);
      else {
        pump();
        await putEachSingly(batch, options, singles);
      }
    }
    slotsTaken -= 1;
    pump();
  }

  /** Settles items that were put and postpones the rest. Resolves with the error when it is not known what was put. */
  async function send(batch: readonly Entry<T>[]): Promise<unknown> {
    for (const entry of batch) entry.state = 'sent';
    const items = batch.map(({ item }) => item);
    const deadline = Math.max(...batch.map(({ deadline }) => deadline));
    try {
      const unprocessed = new Set(await options.sendBatch(items, deadline));
      const left = batch.filter(({ item }) => unprocessed.has(item));
      retries.give((batch.length - left.length) * SUCCESS);
      for (const entry of left) entry.unreached = false;
      postpone(left, queue, options, pump);
      for (const entry of batch) if (!unprocessed.has(entry.item)) entry.settle();
      return undefined;
    } catch (error) {
      return error ?? new Error('the transport failed without a reason');
    }
  }
}

/** Puts the items one by one. This holds the slot of the batch, because fewer new batches should begin meanwhile. */
async function putEachSingly<T>(
  batch: readonly Entry<T>[],
  options: GroupCommitOptions<T>,
  singles: Turns,
): Promise<void> {
  const { clock, limits, random } = options;
  if (batch.every((entry) => entry.settled())) return;
  await new Promise<void>((resolve) => {
    clock.schedule(jittered(limits.singlesPauseMs, random), resolve);
  });
  const puts = batch.map((entry) => singles.run(entry.tenant, () => putSingly(entry, options)));
  await Promise.all(puts);
}

async function putSingly<T>(entry: Entry<T>, { sendOne, retries }: GroupCommitOptions<T>): Promise<void> {
  if (entry.settled()) return;
  if (!retries.take(SINGLE_COST)) {
    entry.settle(
      new StoreUnavailableError('no clear answer from the store, and too many failures to ask again'),
    );
    return;
  }
  try {
    await sendOne(entry.item, entry.deadline);
    retries.give(SINGLE_COST);
    entry.settle();
  } catch (error) {
    entry.settle(error);
  }
}

/** Puts items that were certainly not applied back into the queue, after a pause that holds no slot and is separate per tenant. */
function postpone<T>(
  batch: readonly Entry<T>[],
  queue: CommitQueue<T>,
  options: GroupCommitOptions<T>,
  pump: () => void,
): void {
  const { limits, clock, random } = options;
  const waiting = batch.filter((entry) => !entry.settled());
  for (const tenant of new Set(waiting.map((entry) => entry.tenant))) {
    const parked = waiting.filter((entry) => entry.tenant === tenant);
    for (const entry of parked) entry.state = 'parked';
    const attempts = Math.max(...parked.map((entry) => ++entry.attempts));
    const longest = Math.min(limits.backoffCapMs, limits.backoffMs * 2 ** (attempts - 1));
    clock.schedule(jittered(longest, random), () => {
      for (const entry of parked) queue.putBack(entry);
      pump();
    });
  }
}

function jittered(longestMs: number, random: () => number): number {
  return longestMs * (0.5 + random() / 2);
}

function createEntry<T>(
  options: GroupCommitOptions<T>,
  item: T,
  deadline: number,
  onSettled: (error: Error | undefined) => void,
): Entry<T> {
  let done = false;
  return {
    item,
    tenant: options.tenant(item),
    bytes: options.bytes(item),
    deadline,
    state: 'queued',
    attempts: 0,
    unreached: false,
    settled: () => done,
    settle(error) {
      if (done) return;
      done = true;
      onSettled(error === undefined || error instanceof Error ? error : new Error(JSON.stringify(error)));
    },
  };
}

function lateError({ state, unreached, attempts }: Entry<unknown>): Error {
  if (state === 'sent') return new StoreUnavailableError('no answer from the store in time');
  if (unreached) return new StoreUnavailableError('the store cannot be reached');
  return new StoreOverloadedError(attempts > 0 ? 'the store throttles writes' : NOT_SENT);
}
