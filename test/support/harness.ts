import type { Test } from 'tap';
import type { Answer, TestApp } from './app.ts';
import type { FakeTime } from './time.ts';

/** A service for a test, with an empty inbox, closed with the test. `time` is its time, and its engine's. */
export type Start = (t: Test, env?: Record<string, string>, time?: FakeTime) => Promise<TestApp>;

/** Resolves once the inbox has this many events. */
export type Shown = (app: TestApp, events: number) => Promise<void>;

/** Plugs a store into the suites of the HTTP contracts. */
export interface ServiceHarness {
  readonly start: Start;
  /** Absent: the inbox is consistent. */
  readonly shown?: Shown;
  /** Bytes of payload that end an inbox page; absent: 4 MiB. */
  readonly pagePayloadBytes?: number;
  /** Events of the longest walk, in whole pages of 200; absent: 5,000. */
  readonly longWalkEvents?: number;
}

export const atOnce: Shown = () => Promise.resolve();

/**
 * Asks again as long as the answer is 503, as a client is told to: an emulator that shares two cores with the tests may
 * keep a crowd waiting for longer than the service does.
 *
 * @returns the answer, and how often it was 503 before.
 */
export async function untilAnswered(
  request: () => Promise<Answer>,
): Promise<{ answer: Answer; refused: number }> {
  for (let refused = 0; ; refused++) {
    const answer = await request();
    if (answer.status !== 503) return { answer, refused };
  }
}

/** Exactly one learns that it was the first, unless the first one had to ask again. */
export function isOneFirst(t: Test, first: number, refused: number): void {
  t.ok(first === 1 || (first === 0 && refused > 0), `${String(first)} first, ${String(refused)} asked again`);
}
