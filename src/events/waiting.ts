import { StoreOverloadedError, StoreUnavailableError } from '../store/store-errors.ts';
import type { EventStore } from '../store/event-store.ts';

/** Who waits for events. Knows neither HTTP nor a store: the caller says how to look, the store says when it may be worth it. */
export interface Waiting {
  /** To be called before the first look, so that nothing is missed between that and the wait. Undefined: the key has too many. */
  join(tenant: string, keyId: string): Place | undefined;
  /** Those that wait at the moment. */
  readonly size: () => number;
  /** Ends all waits, and those that come. */
  readonly close: () => void;
}

/** The place of one request. */
export interface Place {
  /**
   * Resolves with the first thing that `look` finds, or with undefined: the time is up, the place was left, or nobody waits any
   * more. A look that is under way then is waited for. Rejects with what `look` throws, unless only the store has no answer at the
   * moment: then it goes on waiting.
   *
   * @param want the same text for places for which the same events will do: where one of them has found nothing, the others need
   *   not look. Those who wait longest look first.
   */
  wait<Found>(want: string, ms: number, look: () => Promise<Found | undefined>): Promise<Found | undefined>;
  leave(): void;
}

export interface WaitingOptions {
  readonly store: Pick<EventStore, 'watch'>;
  /** Places of one key. */
  readonly placesPerKey: number;
  /** How often the line of a tenant looks without being told of anything, in milliseconds. */
  readonly lookEveryMs?: number;
}

/** Hints of the store may be missing: where other instances write, where leases of theirs run out. */
const LOOK_EVERY_MS = 5_000;
/** Lines that look by themselves, at most, in a second. */
const LOOKS_PER_SECOND = 20;

export function createWaiting({ store, placesPerKey, lookEveryMs = LOOK_EVERY_MS }: WaitingOptions): Waiting {
  const lines = new Map<string, Line>();
  const placesByKey = new Map<string, number>();
  let isClosed = false;

  const lookAfterMs = (): number => Math.max(lookEveryMs, (lines.size / LOOKS_PER_SECOND) * 1_000);

  return {
    join(tenant, keyId) {
      const places = placesByKey.get(keyId) ?? 0;
      if (places >= placesPerKey) return undefined;
      placesByKey.set(keyId, places + 1);
      const line = lines.get(tenant) ?? new Line(store, tenant, lookAfterMs);
      lines.set(tenant, line);
      line.places += 1;
      const { told } = line;
      let waiter: Waiter | undefined;
      let isLeft = false;
      return {
        wait<Found>(want: string, ms: number, look: () => Promise<Found | undefined>) {
          if (isClosed || isLeft || ms <= 0) return Promise.resolve(undefined);
          return new Promise<Found | undefined>((resolve, reject) => {
            waiter = new Waiter(want, look, resolve as Waiter['resolve'], reject);
            line.add(waiter, ms, told);
          });
        },
        leave() {
          if (isLeft) return;
          isLeft = true;
          if (waiter !== undefined) line.timeIsUp(waiter);
          const left = (placesByKey.get(keyId) ?? 1) - 1;
          if (left === 0) placesByKey.delete(keyId);
          else placesByKey.set(keyId, left);
          line.places -= 1;
          if (line.places > 0) return;
          line.close();
          lines.delete(tenant);
        },
      };
    },
    size: () => [...lines.values()].reduce((sum, line) => sum + line.size, 0),
    close() {
      isClosed = true;
      for (const line of lines.values()) line.endAll();
    },
  };
}

class Waiter {
  readonly want: string;
  readonly look: () => Promise<unknown>;
  readonly resolve: (found: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Of its arrival in the line. */
  order = 0;
  timer: NodeJS.Timeout | undefined;
  isLooking = false;
  /** It wants no more than what its look under way finds. */
  isLast = false;

  constructor(want: string, look: Waiter['look'], resolve: Waiter['resolve'], reject: Waiter['reject']) {
    this.want = want;
    this.look = look;
    this.resolve = resolve;
    this.reject = reject;
  }
}

/** Those who wait for one tenant's events. One of them looks at a time, so that one event wakes one of them. */
class Line {
  /** Requests that have joined, waiting or not. */
  places = 0;
  size = 0;
  /** How often there was news. */
  told = 0;
  /** By what they want, each in the order of arrival. */
  readonly #waiters = new Map<string, Set<Waiter>>();
  readonly #lookAfterMs: () => number;
  readonly #unwatch: () => void;
  #arrivals = 0;
  #isWorthALook = false;
  #isServing = false;
  #nextLook: NodeJS.Timeout | undefined;

  constructor(store: Pick<EventStore, 'watch'>, tenant: string, lookAfterMs: () => number) {
    this.#lookAfterMs = lookAfterMs;
    this.#unwatch = store.watch(tenant, () => {
      this.told += 1;
      this.#news();
    });
  }

  /** @param told as it was before its first look. */
  add(waiter: Waiter, ms: number, told: number): void {
    const group = this.#waiters.get(waiter.want) ?? new Set();
    this.#waiters.set(waiter.want, group);
    group.add(waiter);
    this.size += 1;
    waiter.order = this.#arrivals++;
    waiter.timer = setTimeout(() => {
      this.timeIsUp(waiter);
    }, ms);
    if (told !== this.told) this.#news();
    this.#nextLook ??= this.#lookLater();
  }

  timeIsUp(waiter: Waiter): void {
    if (waiter.isLooking) waiter.isLast = true;
    else this.#end(waiter, undefined);
  }

  endAll(): void {
    for (const group of this.#waiters.values()) for (const waiter of group) this.timeIsUp(waiter);
  }

  close(): void {
    this.#unwatch();
    clearTimeout(this.#nextLook);
  }

  #lookLater(): NodeJS.Timeout {
    return setTimeout(() => {
      this.#nextLook = undefined;
      this.#news();
    }, this.#lookAfterMs()).unref();
  }

  #news(): void {
    this.#isWorthALook = true;
    if (!this.#isServing && this.size > 0) void this.#serve();
  }

  async #serve(): Promise<void> {
    this.#isServing = true;
    while (this.#isWorthALook && this.size > 0) {
      this.#isWorthALook = false;
      const inVain = new Set<string>();
      for (let next = this.#oldest(inVain); next !== undefined; next = this.#oldest(inVain)) {
        if (!(await this.#look(next))) inVain.add(next.want);
      }
    }
    this.#isServing = false;
    if (this.size > 0) this.#nextLook ??= this.#lookLater();
  }

  #oldest(inVain: ReadonlySet<string>): Waiter | undefined {
    let oldest: Waiter | undefined;
    for (const [want, group] of this.#waiters) {
      if (inVain.has(want)) continue;
      for (const first of group) {
        if (oldest === undefined || first.order < oldest.order) oldest = first;
        break;
      }
    }
    return oldest;
  }

  /** Resolves with whether it has found something. */
  async #look(waiter: Waiter): Promise<boolean> {
    waiter.isLooking = true;
    try {
      const found = await waiter.look();
      if (found !== undefined || waiter.isLast) this.#end(waiter, found);
      return found !== undefined;
    } catch (error) {
      if (waiter.isLast) this.#end(waiter, undefined);
      else if (!isPassing(error)) {
        this.#remove(waiter);
        waiter.reject(error);
      }
      return false;
    } finally {
      waiter.isLooking = false;
    }
  }

  #end(waiter: Waiter, found: unknown): void {
    this.#remove(waiter);
    waiter.resolve(found);
  }

  #remove(waiter: Waiter): void {
    clearTimeout(waiter.timer);
    const group = this.#waiters.get(waiter.want);
    if (group?.delete(waiter) !== true) return;
    this.size -= 1;
    if (group.size === 0) this.#waiters.delete(waiter.want);
  }
}

/** The store answers again later: who waits can wait for that. */
function isPassing(error: unknown): boolean {
  return error instanceof StoreOverloadedError || error instanceof StoreUnavailableError;
}
