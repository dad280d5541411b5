import type { TimeSource } from '../../src/events/clock.ts';

export interface FakeTime extends TimeSource {
  /** The time of a wall clock that is right. */
  readonly trueMs: () => number;
  /** Lets time pass, on both clocks. */
  advance(ms: number): void;
  /** Sets the wall clock, forward or back. */
  jump(ms: number): void;
}

/** Time that stands still unless a test moves it. Whole milliseconds. */
export function fakeTime(startMs = Date.now()): FakeTime {
  let passed = 0;
  let off = 0;
  return {
    wallMs: () => startMs + passed + off,
    monotonicMs: () => passed,
    trueMs: () => startMs + passed,
    advance(ms) {
      passed += ms;
    },
    jump(ms) {
      off += ms;
    },
  };
}
