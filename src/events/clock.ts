import type { Micros } from './event.ts';

/** Strictly increasing time for `created_at` and `acknowledged_at`. */
export interface Clock {
  /** The current time; equal calls may return equal times. */
  now(): Micros;
  /** A time that this clock has never given out and never will again, later than all before. */
  tick(): Micros;
}

/**
 * @param after no `tick` is at or before this time: the newest stored time, so that order survives a restart on a
 *   machine whose clock was set back.
 * @param wallMs milliseconds since the Unix epoch.
 */
export function createClock(after: Micros = 0, wallMs: () => number = Date.now): Clock {
  let last = after;
  return {
    now: () => wallMs() * 1000,
    tick: () => (last = Math.max(last + 1, wallMs() * 1000)),
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
