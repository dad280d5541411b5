import type { Micros } from '../store/event.ts';
import { createFollower } from './follower.ts';

/** What the service takes its time from. */
export interface TimeSource {
  /** The wall clock: milliseconds since the Unix epoch. It may be set, forward and back. */
  readonly wallMs: () => number;
  /** Milliseconds since any point: never set, never back. */
  readonly monotonicMs: () => number;
}

export const SYSTEM_TIME: TimeSource = { wallMs: () => Date.now(), monotonicMs: () => performance.now() };

export interface Clock {
  /** The current time, for ages and horizons. It goes back only by a step of the wall clock that is believed. */
  now(): Micros;
  /**
   * A time for `created_at` and `acknowledged_at`, which this clock has never given out and never will again, later than
   * all before.
   */
  tick(): Micros;
}

export interface ServiceClock extends Clock {
  /** No `tick` has given out a later time, and about the next one. */
  upcoming(): Micros;
  /** From now on every `tick` is after this time: the newest stored one, so that order survives a restart. */
  startAfter(newest: Micros): void;
}

/** A step of the wall clock. */
export interface ClockStep {
  /** How far the wall clock is ahead; negative: behind. */
  readonly seconds: number;
  /** False: it has been seen, and is not followed unless it stays. */
  readonly believed: boolean;
}

/** Up to here a difference is NTP's work, or a leap second, and is followed at once. */
const TOLERANCE_MS = 1_000;
const CONFIRM_MS = 10_000;
/** Of real time, while times run on until the wall clock has caught up: a window of 300 s then takes 333 s. */
const SLOW = 0.9;
/** A clock that flaps must not fill the log. */
const DOUBTS_APART_MS = 60_000;

/**
 * The one time of the service. It starts at the wall clock and goes on by the monotonic clock; a wall clock that is at most
 * 1 s off is followed, by a tenth of the time that passes; a larger step, forward or back, once it has stood for 10 s
 * (`Follower`: a suspended machine and one that started with a wrong clock step, too). That is `now()`.
 *
 * `tick()` never goes back. After a step back, or a restart behind the newest stored event, it runs on at 0.9 of real time
 * until `now()` has caught up. With T the last tick before and t the monotonic time since,
 *
 *     tick = max(now, T + 0.9 t, last tick + 1 µs)
 *
 * so that over any time of length t ticks advance by at least 0.9 t, and by at most 1.1 t, the steps forward that are
 * believed, and 1 µs a tick.
 *
 * @param onStep each step once when it is first seen, at most one a minute, and once when it is believed.
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
  /** Where the slow line starts: at the last tick that was not on it, so that rounding does not add up. */
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

/** `2026-01-01T12:00:00.123456Z`: ISO 8601 UTC with microseconds, which sorts as text as it does in time. */
export function formatMicros(time: Micros): string {
  const second = Math.floor(time / 1e6);
  if (second !== cachedSecond) {
    // Events come in order: `toISOString` runs once a second instead of once an event.
    cachedPrefix = new Date(second * 1000).toISOString().slice(0, 20);
    cachedSecond = second;
  }
  return `${cachedPrefix}${String(time - second * 1e6).padStart(6, '0')}Z`;
}
