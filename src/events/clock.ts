import type { Micros } from '../store/event.ts';
import { createFollower } from './follower.ts';

/** Where the service gets its time from. */
export interface TimeSource {
  /** The wall clock: milliseconds since the Unix epoch. Somebody may set it forward or back. */
  readonly wallMs: () => number;
  /** Milliseconds since some point in time. Nobody can set it, and it never goes back. */
  readonly monotonicMs: () => number;
}

export const SYSTEM_TIME: TimeSource = { wallMs: () => Date.now(), monotonicMs: () => performance.now() };

export interface Clock {
  /** The current time, for ages and horizons. It goes back only when a step back of the wall clock is believed. */
  now(): Micros;
  /**
   * A time for `created_at` and `acknowledged_at`. Each is later than all that this clock has given out before.
   */
  tick(): Micros;
}

export interface ServiceClock extends Clock {
  /** About the time of the next `tick`. No `tick` has given out a later one. */
  upcoming(): Micros;
  /** Makes every later `tick` come after this time, that of the newest stored event, so that order survives a restart. */
  startAfter(newest: Micros): void;
}

/** A step of the wall clock. */
export interface ClockStep {
  /** How far the wall clock is ahead; negative: behind. */
  readonly seconds: number;
  /** False: the step has been seen, and is followed only if it stays. */
  readonly believed: boolean;
}

/** A smaller difference comes from NTP or a leap second, and is followed at once. */
const TOLERANCE_MS = 1_000;
const CONFIRM_MS = 10_000;
/** Speed of `tick()`, relative to real time, until the wall clock has caught up: a window of 300 s then takes 333 s. */
const SLOW = 0.9;
/** A clock that flaps must not fill the log. */
const DOUBTS_APART_MS = 60_000;

/**
 * The one time of the service. `now()` starts at the wall clock and advances with the monotonic clock. A wall clock that is at
 * most 1 s off is followed gradually, by at most a tenth of the time that passes. A larger step, forward or back, is followed
 * once it has stood for 10 s (see `Follower`). Steps also come from a suspended machine and from a wrong clock at start.
 *
 * `tick()` never goes back. After a step back, or a restart behind the newest stored event, it runs at 0.9 of real time until
 * `now()` has caught up. With T the last tick before and t the monotonic time since,
 *
 *     tick = max(now, T + 0.9 t, last tick + 1 µs)
 *
 * so that over any time of length t ticks advance by at least 0.9 t, and by at most 1.1 t plus the steps forward that are
 * believed plus 1 µs a tick.
 *
 * @param onStep gets each step once when it is first seen, at most one a minute, and once when it is believed.
 */
export function createClock({
  time = SYSTEM_TIME,
  onStep = () => undefined,
}: {
  readonly time?: TimeSource;
  readonly onStep?: (step: ClockStep) => void;
} = {}): ServiceClock {
  const started = time.monotonicMs();
  let doubtedAt = -Infinity;
  const wall = createFollower({
    time: time.wallMs(),
    mono: started,
    tolerance: TOLERANCE_MS,
    confirm: CONFIRM_MS,
    onDoubt(by) {
      const mono = time.monotonicMs();
      if (mono - doubtedAt < DOUBTS_APART_MS) return;
      doubtedAt = mono;
      onStep({ seconds: by / 1000, believed: false });
    },
    onBelieved(by) {
      doubtedAt = -Infinity;
      onStep({ seconds: by / 1000, believed: true });
    },
  });

  const nowAt = (mono: number): Micros => Math.floor(wall.follow(time.wallMs(), mono) * 1000);
  let last = 0;
  /** The slow line starts at the last tick that was not on it, so that rounding errors do not add up. */
  let slow = { from: 0, mono: started };
  const slowAt = (mono: number): Micros => Math.floor(slow.from + SLOW * 1000 * (mono - slow.mono));

  return {
    now: () => nowAt(time.monotonicMs()),

    tick() {
      const mono = time.monotonicMs();
      const least = slowAt(mono);
      last = Math.max(last + 1, nowAt(mono), least);
      if (last > least) slow = { from: last, mono };
      return last;
    },

    upcoming() {
      const mono = time.monotonicMs();
      return Math.max(last, nowAt(mono), slowAt(mono));
    },

    startAfter(newest) {
      last = Math.max(last, newest);
      slow = { from: last, mono: time.monotonicMs() };
    },
  };
}

let cachedSecond = -1;
let cachedPrefix = '';

/** `2026-01-01T12:00:00.123456Z`: ISO 8601 UTC with microseconds. Sorted as text, such times are in order. */
export function formatMicros(time: Micros): string {
  const second = Math.floor(time / 1e6);
  if (second !== cachedSecond) {
    // Events come in order, so `toISOString` runs once a second instead of once an event.
    cachedPrefix = new Date(second * 1000).toISOString().slice(0, 20);
    cachedSecond = second;
  }
  return `${cachedPrefix}${String(time - second * 1e6).padStart(6, '0')}Z`;
}
