import { waitMs } from './backoff.ts';
import type { Call } from './call.ts';
import type { Consumer, ConsumerSettings, Handler, StopOptions } from './consume.ts';
import { callLease, callSettle, type Ends, type Told } from './consumer-calls.ts';
import { TriggersError } from './error.ts';
import type { LeasedEvent, Leases } from './lease.ts';
import type { ItemError } from './many.ts';
import { randomKey } from './new-event.ts';
import { Outbox, type Pending } from './outbox.ts';
import type { SettledItem, Settlement } from './settle.ts';
import { Slot } from './slot.ts';
import { settlementFor } from './verdict.ts';
import type { World } from './world.ts';

/** So long a settlement waits for others, or for a lease call that takes it along. */
const GATHER_MS = 50;
/** So long a consumer that ends tries to settle, when no handler runs any more. */
const LAST_WORDS_MS = 5_000;
const DRAIN_MS = 10_000;
/** Before the next lease call, on average, after an empty answer that came without a wait. */
const PAUSE_MS = 1_000;
/** Events that one lease call hands out, at most. */
const MOST_LEASES = 100;
/** A lease call that fails so often is told. */
const TELL_AFTER_TRIES = 5;

/**
 * The loop of a worker. It owns all state, and `#step` does whatever is due: after each change, and when its only timer says so.
 * There is at most one lease call, and one settle call beside it (docs/decisions/041-one-loop-in-the-worker.md).
 */
export class Loop<Payload> implements Consumer {
  readonly ended: Promise<void>;
  readonly #call: Call;
  readonly #world: World;
  readonly #handler: Handler<Payload>;
  readonly #settings: ConsumerSettings<Payload>;
  readonly #outbox = new Outbox<Payload>();
  readonly #running = new Set<Slot<Payload>>();
  readonly #wait = new AbortController();
  readonly #requests = new AbortController();
  readonly #ends: Ends = { wait: this.#wait.signal, requests: this.#requests.signal };
  #finish: () => void = () => undefined;
  #failure: { readonly error: unknown } | undefined;
  #isWoken = false;
  #isLeasing = false;
  #isSettling = false;
  #isStopping = false;
  /** Monotonic milliseconds, as all that follow: when to lease again, when to give up handlers, when to give up requests. */
  #leaseAt = -Infinity;
  #drainUntil = Infinity;
  #closeBy = Infinity;
  #stopTimer = (): void => undefined;

  constructor(call: Call, world: World, handler: Handler<Payload>, settings: ConsumerSettings<Payload>) {
    this.#call = call;
    this.#world = world;
    this.#handler = handler;
    this.#settings = settings;
    const { signal } = settings;
    const onAbort = (): void => void this.stop({ drainMs: 0 });
    this.ended = new Promise((resolve, reject) => {
      this.#finish = () => {
        signal?.removeEventListener('abort', onAbort);
        // As it was thrown: it may be anything.
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
        if (this.#failure) reject(this.#failure.error);
        else resolve();
      };
    });
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted === true) onAbort();
    this.#wake();
  }

  stop({ drainMs = DRAIN_MS }: StopOptions = {}): Promise<void> {
    this.#isStopping = true;
    this.#drainUntil = Math.min(this.#drainUntil, this.#world.now() + drainMs);
    this.#wait.abort();
    this.#wake();
    return this.ended;
  }

  /** Changes that come together have one step. */
  #wake(): void {
    if (this.#isWoken) return;
    this.#isWoken = true;
    queueMicrotask(() => {
      this.#isWoken = false;
      this.#step(this.#world.now());
    });
  }

  #step(now: number): void {
    this.#stopTimer();
    for (const slot of this.#running) if (slot.dueAt <= now) this.#tend(slot, now);
    if (this.#isStopping) this.#drain(now);
    else if (!this.#isLeasing && this.#running.size < this.#settings.concurrency && now >= this.#leaseAt) {
      void this.#lease(now);
    }
    if (!this.#isSettling && this.#outbox.dueAt() <= now) void this.#settle(now);
    if (this.#isStopping && this.#isIdle()) this.#finish();
    else this.#setTimer(now);
  }

  #isIdle(): boolean {
    return this.#running.size + this.#outbox.size === 0 && !this.#isLeasing && !this.#isSettling;
  }

  #setTimer(now: number): void {
    const isFull = this.#running.size === this.#settings.concurrency;
    let at = this.#isSettling ? Infinity : this.#outbox.dueAt();
    if (this.#isStopping) at = Math.min(at, this.#running.size > 0 ? this.#drainUntil : this.#closeBy);
    else if (!this.#isLeasing && !isFull) at = Math.min(at, this.#leaseAt);
    for (const { dueAt } of this.#running) at = Math.min(at, dueAt);
    if (at === Infinity) return;
    this.#stopTimer = this.#world.after(Math.min(Math.max(at - now, 0), 2 ** 31 - 1), () => {
      this.#wake();
    });
  }

  /** Extends the lease of an event at work, or finds that it has run out. */
  #tend(slot: Slot<Payload>, now: number): void {
    if (slot.endsAt <= now) {
      this.#lose(
        slot,
        leaseLost(
          slot.isSpent(now) ? 'the handler took longer than maxLeaseSeconds' : 'the lease has run out',
        ),
      );
      return;
    }
    const leaseSeconds = slot.extension(now);
    if (leaseSeconds === undefined) return;
    this.#put(slot, { action: 'extend', token: slot.event.lease.token, leaseSeconds });
  }

  /** Gives events back when their time is up, and requests some time later. */
  #drain(now: number): void {
    if (now >= this.#drainUntil) {
      for (const slot of this.#running) {
        this.#over(slot, { action: 'release', token: slot.event.lease.token, failed: false });
        slot.abort(new Error('the consumer has been stopped'));
      }
    }
    if (this.#running.size > 0) return;
    this.#closeBy = Math.min(this.#closeBy, now + LAST_WORDS_MS);
    if (now < this.#closeBy) return;
    this.#requests.abort(new Error('the consumer has ended before this was settled'));
    for (let left = this.#outbox.take(Infinity); left.length > 0; left = this.#outbox.take(Infinity)) {
      for (const pending of left) this.#refused(pending, this.#requests.signal.reason, false);
    }
  }

  async #lease(now: number): Promise<void> {
    this.#isLeasing = true;
    const { concurrency, leaseSeconds, waitSeconds, source, eventType, onError } = this.#settings;
    // In a call that waits the results of extensions would come too late.
    const taken = this.#outbox.take(now, ({ action }) => action !== 'extend');
    const request = {
      limit: Math.min(concurrency - this.#running.size, MOST_LEASES),
      ...{ leaseSeconds, waitSeconds, source, eventType },
      settle: taken.map(({ settlement }) => settlement),
      idempotencyKey: randomKey(),
    };
    try {
      const told = await callLease<Payload>(
        this.#call,
        this.#world,
        request,
        this.#ends,
        (failure, tries) => {
          if (tries >= TELL_AFTER_TRIES && onError) this.#tell(failure, null);
        },
      );
      this.#learn(taken, { ...told, body: told.body.settled });
      this.#take(told, now);
    } catch (error) {
      if (!this.#requests.signal.aborted) this.#fail(error);
      // Alone they may still be settled.
      for (const pending of taken) this.#outbox.put({ ...pending, isRepeated: true });
    }
    this.#isLeasing = false;
    this.#wake();
  }

  /** Starts with the events that came. */
  #take({ body: { events }, since }: Told<Leases<Payload>>, askedAt: number): void {
    const now = this.#world.now();
    const { leaseSeconds, maxLeaseSeconds, waitSeconds } = this.#settings;
    const times = { leaseMs: leaseSeconds * 1000, maxLeaseMs: maxLeaseSeconds * 1000 };
    for (const event of events) {
      const slot = new Slot(event, times, since, now);
      if (this.#isStopping || slot.endsAt <= now) {
        this.#over(slot, { action: 'release', token: event.lease.token, failed: false });
        continue;
      }
      this.#running.add(slot);
      void this.#run(slot);
    }
    // The service measures the wait by another clock.
    const hasWaited = waitSeconds > 0 && now - askedAt >= waitSeconds * 900;
    if (events.length === 0 && !hasWaited) this.#leaseAt = now + PAUSE_MS * (0.5 + this.#world.random());
  }

  async #run(slot: Slot<Payload>): Promise<void> {
    const { event, signal } = slot;
    const { token, attempt } = event.lease;
    try {
      await this.#handler(event, { signal, attempt });
      // Also where the lease is lost: it is accepted for as long as nobody else has the event.
      this.#over(slot, { action: 'ack', token });
    } catch (thrown) {
      if (slot.isOver) return;
      const settlement = this.#settlementFor(thrown, slot);
      this.#over(slot, slot.isLost ? undefined : settlement);
    }
    this.#wake();
  }

  #settlementFor(thrown: unknown, { event, isLost }: Slot<Payload>): Settlement {
    const { token, attempt } = event.lease;
    const { backoff, onError } = this.#settings;
    try {
      const { settlement, isExpected } = settlementFor(thrown, token, () => backoff(attempt));
      if (!isExpected && !isLost && onError) this.#tell(thrown, event);
      return settlement;
    } catch (error) {
      this.#fail(error);
      return { action: 'release', token, failed: false };
    }
  }

  /** The slot is free, and what it leaves is a settlement at most. */
  #over(slot: Slot<Payload>, settlement: Settlement | undefined): void {
    if (slot.isOver) return;
    slot.isOver = true;
    this.#running.delete(slot);
    if (settlement) this.#put(slot, settlement);
  }

  #put(slot: Slot<Payload>, settlement: Settlement): void {
    const dueAt = this.#world.now() + (this.#isStopping ? 0 : GATHER_MS);
    this.#outbox.put({ slot, settlement, failed: 0, isRepeated: false, dueAt, notBefore: -Infinity });
  }

  async #settle(now: number): Promise<void> {
    this.#isSettling = true;
    const taken = this.#outbox.take(now);
    const deadline = Math.max(now + LAST_WORDS_MS, ...taken.map(({ slot }) => slot.endsAt));
    try {
      this.#learn(taken, await callSettle(this.#call, this.#world, taken, deadline, this.#ends));
    } catch (error) {
      for (const pending of taken) this.#refused(pending, error, false);
    }
    this.#isSettling = false;
    this.#wake();
  }

  #learn(taken: readonly Pending<Payload>[], told: Told<readonly SettledItem[]>): void {
    const results = new Map(told.body.map((result) => [result.index, result]));
    for (const [index, pending] of taken.entries()) {
      const result = results.get(index);
      const error = result ? result.error : { code: 'UNEXPECTED_RESPONSE', message: 'there is no result' };
      if (error === null) this.#settled(pending, told.since);
      else if (result?.retryable === true && this.#world.now() < pending.slot.endsAt) this.#again(pending);
      else this.#refused(pending, itemFailure(error), told.isRepeated);
    }
  }

  #settled({ slot, settlement }: Pending<Payload>, since: number): void {
    if (settlement.action !== 'extend' || slot.isOver) return;
    slot.extended(settlement.leaseSeconds, since, this.#world.now());
  }

  #again(pending: Pending<Payload>): void {
    const { slot, settlement } = pending;
    if (settlement.action === 'extend' && slot.isOver) return;
    const failed = pending.failed + 1;
    const at = this.#world.now() + waitMs(failed, undefined, () => this.#world.random());
    this.#outbox.put({ ...pending, failed, isRepeated: true, dueAt: at, notBefore: at });
  }

  /** @param isRepeated an earlier try of the request may have been carried out. */
  #refused({ slot, settlement, ...pending }: Pending<Payload>, error: unknown, isRepeated: boolean): void {
    const { action } = settlement;
    if (action === 'extend') {
      if (!slot.isOver) this.#lose(slot, error);
      return;
    }
    const isLeaseLost = error instanceof TriggersError && error.code === 'LEASE_LOST';
    // The event is free, which is what was wanted; or it was this consumer that rejected it.
    if (isLeaseLost && (action === 'release' || (action === 'reject' && (isRepeated || pending.isRepeated))))
      return;
    if (!slot.isLost) this.#failedForGood(error, slot.event);
  }

  /** Somebody else may get the event: its handler should end. */
  #lose(slot: Slot<Payload>, error: unknown): void {
    if (slot.isLost) return;
    slot.isLost = true;
    this.#outbox.drop(slot);
    slot.abort(error);
    this.#failedForGood(error, slot.event);
  }

  #failedForGood(error: unknown, event: LeasedEvent<Payload>): void {
    if (this.#settings.onError) this.#tell(error, event);
    else this.#fail(error);
  }

  #tell(error: unknown, event: LeasedEvent<Payload> | null): void {
    try {
      this.#settings.onError?.(error, event);
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    void this.stop();
  }
}

function leaseLost(message: string): TriggersError {
  return itemFailure({ code: 'LEASE_LOST', message });
}

function itemFailure({
  code,
  message,
  details,
}: Partial<ItemError> & Omit<ItemError, 'details'>): TriggersError {
  const options = { code, status: null, requestId: null, retryable: false };
  return new TriggersError(message, { ...options, details: details ?? null });
}
