import type { Test } from 'tap';
import type { TestApp } from './app.ts';

/** A service for a test, with an empty inbox, closed with the test. `wallMs` is its clock. */
export type Start = (t: Test, env?: Record<string, string>, wallMs?: () => number) => Promise<TestApp>;

/** Resolves once so many events are in the inbox. */
export type Shown = (app: TestApp, events: number) => Promise<void>;

/** Plugs a store into the suites of the HTTP contracts. */
export interface ServiceHarness {
  readonly start: Start;
  /** Absent: the inbox is consistent. */
  readonly shown?: Shown;
}

export const atOnce: Shown = () => Promise.resolve();
