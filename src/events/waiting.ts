import { setImmediate as nextTurn } from 'node:timers/promises';
import { isPassing } from '../store/store-errors.ts';
import type { EventStore } from '../store/event-store.ts';
import type { Hint } from '../store/watchers.ts';

/** Who waits for events. Knows neither HTTP nor a store: the caller says how to look, the store says when it may be worth it. */
export interface Waiting {
  /** To be called before the first look, so that nothing is missed between that and the wait. Undefined: the key has too many. */
  join(tenant: string, keyId: string): Place | undefined;
  /** Those that wait at the moment. */
  readonly size: () => number;
  /** Ends all waits. Those that come later take a second, and find nothing. */
  readonly close: () => void;
}

/** The place of one request. */
export interface Place {
  /**
   * Resolves with the first thing that `look` finds, or with undefined: the time is up, the place was left, or nobody waits any
   * more. A look that is under way then is waited for. Rejects with what `look` throws, unless only the store has no answer at the
   * moment: then it goes on waiting.
   *
   * @param again the look before has given `AGAIN`.
   */
  wait<Found>(wanted: Wanted, ms: number, look: Look<Found>, again?: boolean): Promise<Found | undefined>;
  leave(): void;
}

/** What a look gives that has found nothing, and has not looked everywhere. */
export const AGAIN = Symbol('again');

export type Look<Found> = () => Promise<Found | typeof AGAIN | undefined>;

export interface Wanted {
  /**
   * The same for places for which the same events will do: where one of them has found nothing, the others need not look. Those
   * who wait longest look first.
   */
  readonly name: string;
  /** Whether such an event is wanted. */
  readonly fits: (event: NonNullable<Hint>) => boolean;
  /** Places with one key find the same: where one has found something, the others look, too. */
  readonly key?: string | undefined;
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
/** Lines that look by themselves in a second, as long as each of them looks once in a long wait. */
const LOOKS_PER_SECOND = 20;
const LOOK_AT_LEAST_MS = 15_000;
/** Until the next look after one that has failed; it doubles up to the time between looks. */
const RETRY_MS = 200;
/** How long a wait takes of which nothing comes, so that who asks again at once is no load. */
const CLOSED_MS = 1_000;
/** How long looks may keep the event loop. */
const SLICE_MS = 5;

export function createWaiting(options: WaitingOptions): Waiting {
  const { store, placesPerKey, lookEveryMs = LOOK_EVERY_MS } = options;
  const lines = new Map<string, Line>();
  const placesByKey = new Map<string, number>();
  let isClosed = false;

  const lookAfterMs = (): number =>
    Math.max(lookEveryMs, Math.min((lines.size / LOOKS_PER_SECOND) * 1_000, LOOK_AT_LEAST_MS));

  function placeIn(line: Line, onLeave: () => void): Place {
    const { told } = line;
    let waiter: Waiter | undefined;
    let isLeft = false;
    return {
      wait<Found>(wanted: Wanted, ms: number, look: Look<Found>, again = false) {
        if (isLeft || ms <= 0) return Promise.resolve(undefined);
        return new Promise<Found | undefined>((resolve, reject) => {
          waiter = new Waiter(wanted, look, resolve as Waiter['resolve'], reject);
          if (isClosed) line.sleep(waiter, Math.min(ms, CLOSED_MS));
          else line.add(waiter, ms, told !== line.told || again);
        });
      },
      leave() {
        if (isLeft) return;
        isLeft = true;
        if (waiter !== undefined) line.timeIsUp(waiter);
        onLeave();
      },
    };
  }

  return {
    join(tenant, keyId) {
      const places = placesByKey.get(keyId) ?? 0;
      if (places >= placesPerKey) return undefined;
      placesByKey.set(keyId, places + 1);
      const line = lines.get(tenant) ?? new Line(store, tenant, lookAfterMs);
      lines.set(tenant, line);
      line.places += 1;
      return placeIn(line, () => {
        const left = (placesByKey.get(keyId) ?? 1) - 1;
        if (left === 0) placesByKey.delete(keyId);
        else placesByKey.set(keyId, left);
        line.places -= 1;
        if (line.places > 0) return;
        line.close();
        lines.delete(tenant);
      });
    },
    size: () => [...lines.values()].reduce((sum, line) => sum + line.size, 0),
    close() {
      isClosed = true;
      for (const line of lines.values()) void line.endAll();
    },
  };
}

class Waiter {
  readonly wanted: Wanted;
  readonly look: () => Promise<unknown>;
  readonly resolve: (found: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Of its arrival in the line. */
  order = 0;
  timer: NodeJS.Timeout | undefined;
  isLooking = false;
  /** It wants no more than what its look under way finds. */
  isLast = false;

  constructor(wanted: Wanted, look: Waiter['look'], resolve: Waiter['resolve'], reject: Waiter['reject']) {
    this.wanted = wanted;
    this.look = look;
    this.resolve = resolve;
    this.reject = reject;
  }
}

/** Those who want the same, in the order of their arrival. */
interface Group {
  readonly waiters: Set<Waiter>;
  readonly fits: Wanted['fits'];
  /** How often there was news for them. */
  news: number;
}

/** Those who wait for one tenant's events. One of them looks at a time, so that one event wakes one of them. */
class Line {
  /** Requests that have joined, waiting or not. */
  places = 0;
  size = 0;
  /** How often there was news. */
  told = 0;
  readonly #groups = new Map<string, Group>();
  /** Groups for which a look may be worth it. */
  readonly #due = new Set<Group>();
  readonly #byKey = new Map<string, Set<Waiter>>();
  readonly #lookAfterMs: () => number;
  readonly #unwatch: () => void;
  #arrivals = 0;
  #failures = 0;
  #isServing = false;
  #nextLook: NodeJS.Timeout | undefined;

  constructor(store: Pick<EventStore, 'watch'>, tenant: string, lookAfterMs: () => number) {
    this.#lookAfterMs = lookAfterMs;
    this.#unwatch = store.watch(tenant, (hint) => {
      this.told += 1;
      this.#news(hint);
    });
  }

  /** @param isWorthALook it has missed news since its first look, or that has not looked everywhere. */
  add(waiter: Waiter, ms: number, isWorthALook: boolean): void {
    const { name, fits, key } = waiter.wanted;
    const group = this.#groups.get(name) ?? { waiters: new Set(), fits, news: 0 };
    this.#groups.set(name, group);
    group.waiters.add(waiter);
    if (key !== undefined) this.#byKey.set(key, (this.#byKey.get(key) ?? new Set()).add(waiter));
    this.size += 1;
    waiter.order = this.#arrivals++;
    waiter.timer = setTimeout(() => {
      this.timeIsUp(waiter);
    }, ms);
    if (isWorthALook) this.#mark(group);
    this.#lookLater(this.#lookAfterMs());
  }

  /** Nothing comes for this one. */
  sleep(waiter: Waiter, ms: number): void {
    waiter.timer = setTimeout(() => {
      waiter.resolve(undefined);
    }, ms);
  }

  timeIsUp(waiter: Waiter): void {
    if (waiter.isLooking) waiter.isLast = true;
    else this.#end(waiter, undefined);
  }

  /** In turns with other work: each of them then makes its answer. */
  async endAll(): Promise<void> {
    let ended = 0;
    for (const { waiters } of this.#groups.values()) {
      for (const waiter of waiters) {
        this.timeIsUp(waiter);
        if (++ended % ENDED_TOGETHER === 0) await nextTurn();
      }
    }
  }

  close(): void {
    this.#unwatch();
    clearTimeout(this.#nextLook);
  }

  #lookLater(ms: number): void {
    this.#nextLook ??= setTimeout(() => {
      this.#nextLook = undefined;
      this.#news(undefined);
    }, ms).unref();
  }

  #news(hint: Hint): void {
    for (const group of this.#groups.values()) {
      if (hint === undefined || group.fits(hint)) this.#mark(group);
    }
  }

  #mark(group: Group): void {
    group.news += 1;
    this.#due.add(group);
    if (!this.#isServing) void this.#serve();
  }

  async #serve(): Promise<void> {
    this.#isServing = true;
    while (this.#due.size > 0) {
      let hasFailed = false;
      // In each round every group gets its turn.
      for (const group of [...this.#due].sort((a, b) => orderOf(a) - orderOf(b))) {
        if ((await this.#serveGroup(group)) === 'failed') hasFailed = true;
      }
      if (hasFailed) this.#retryLater();
      else this.#failures = 0;
      if (this.#due.size > 0) await nextTurn();
    }
    this.#isServing = false;
    if (this.size > 0) this.#lookLater(this.#lookAfterMs());
  }

  /** Lets them look, those first who have waited longest, until one has found nothing. */
  async #serveGroup(group: Group): Promise<Looked> {
    let sliceStart = performance.now();
    for (;;) {
      const [waiter] = group.waiters;
      const { news } = group;
      const looked = waiter === undefined ? 'nothing' : await this.#look(waiter);
      if (waiter !== undefined && looked === 'something') await this.#serveKey(waiter);
      if (performance.now() - sliceStart > SLICE_MS) {
        await nextTurn();
        sliceStart = performance.now();
      }
      if (looked === 'something' || looked === 'gone') continue;
      // What came meanwhile, or is known to be there, leads to another look in the next round.
      if (looked === 'failed' || (looked === 'nothing' && group.news === news)) this.#due.delete(group);
      return looked;
    }
  }

  #retryLater(): void {
    clearTimeout(this.#nextLook);
    this.#nextLook = undefined;
    this.#lookLater(Math.min(RETRY_MS * 2 ** this.#failures++, this.#lookAfterMs()));
  }

  async #serveKey({ wanted: { key } }: Waiter): Promise<void> {
    if (key === undefined) return;
    for (const waiter of this.#byKey.get(key) ?? []) await this.#look(waiter);
  }

  async #look(waiter: Waiter): Promise<Looked> {
    waiter.isLooking = true;
    try {
      const found = await waiter.look();
      if (found === AGAIN) {
        if (waiter.isLast) this.#end(waiter, undefined);
        return 'again';
      }
      if (found !== undefined || waiter.isLast) this.#end(waiter, found);
      return found === undefined ? 'nothing' : 'something';
    } catch (error) {
      if (waiter.isLast) this.#end(waiter, undefined);
      else if (!isPassing(error)) {
        this.#remove(waiter);
        waiter.reject(error);
      }
      return isPassing(error) ? 'failed' : 'gone';
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
    const { name, key } = waiter.wanted;
    const group = this.#groups.get(name);
    if (group?.waiters.delete(waiter) !== true) return;
    this.size -= 1;
    if (group.waiters.size === 0) {
      this.#groups.delete(name);
      this.#due.delete(group);
    }
    if (key === undefined) return;
    const same = this.#byKey.get(key);
    same?.delete(waiter);
    if (same?.size === 0) this.#byKey.delete(key);
  }
}

/** `gone`: this one waits no more, and nothing is known of the others. */
type Looked = 'something' | 'nothing' | 'again' | 'failed' | 'gone';

function orderOf({ waiters }: Group): number {
  const [first] = waiters;
  return first?.order ?? 0;
}

const ENDED_TOGETHER = 200;
