import type { LeasedEvent } from './lease.ts';

export interface LeaseTimes {
  readonly leaseMs: number;
  readonly maxLeaseMs: number;
}

/** One event at work, and the time of its lease, in monotonic milliseconds of this process. */
export class Slot<Payload> {
  readonly event: LeasedEvent<Payload>;
  readonly #abort = new AbortController();
  readonly #times: LeaseTimes;
  /** When the lease must have been settled. */
  readonly #lastMs: number;
  #endsAt: number;
  #extendAt: number;
  /** The handler has ended, or nobody waits for it any more. */
  isOver = false;
  /** Somebody else may get the event. */
  isLost = false;

  /** @param since when the lease began, or earlier. */
  constructor(event: LeasedEvent<Payload>, times: LeaseTimes, since: number, now: number) {
    this.event = event;
    this.#times = times;
    this.#lastMs = since + times.maxLeaseMs;
    this.#endsAt = since + times.leaseMs;
    this.#extendAt = this.#halfTime(now);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get endsAt(): number {
    return this.#endsAt;
  }

  /** When this slot needs to be looked at. */
  get dueAt(): number {
    return this.isLost ? Infinity : Math.min(this.#extendAt, this.#endsAt);
  }

  /** For how many seconds to extend the lease now; undefined: not now. Asks once: `extended` or `notExtended` must follow. */
  extension(now: number): number | undefined {
    if (now < this.#extendAt || this.isLost) return undefined;
    this.#extendAt = Infinity;
    const seconds = Math.floor(Math.min(this.#times.leaseMs, this.#lastMs - now) / 1000);
    return seconds >= 1 && now + seconds * 1000 > this.#endsAt ? seconds : undefined;
  }

  /** @param since when the extension was sent, or earlier. */
  extended(seconds: number, since: number, now: number): void {
    this.#endsAt = since + seconds * 1000;
    this.#extendAt = this.#halfTime(now);
  }

  /** Whether all the time that a handler may have is used up: extensions have whole seconds. */
  isSpent(now: number): boolean {
    return now + 1000 > this.#lastMs;
  }

  /** Tells the handler to end. */
  abort(reason: unknown): void {
    this.#abort.abort(reason);
  }

  #halfTime(now: number): number {
    return now + (this.#endsAt - now) / 2;
  }
}
