import type { Machine } from '../harness/machine.ts';
import type { Measurement } from '../load/job.ts';

/** Which quantile of response times has to stay below how many milliseconds. */
export interface LatencyTarget {
  readonly quantile: 'p95' | 'p99';
  readonly belowMs: number;
}

/** How many times the rate of another contestant of the same suite has to be reached. */
export interface RatioTarget {
  readonly to: string;
  readonly atLeast: number;
}

/** A target and what became of it. */
export interface Check {
  /** As it stands in a table: `p95 < 10 ms`. */
  readonly target: string;
  readonly found: string;
  readonly pass: boolean;
}

/** How rows begin that are of the machine alone. */
export const IDLE = 'no requests';

/** How rows end that autocannon has measured beside the open loop of the same rate. */
export const AUTOCANNON = ', autocannon';

/** One contestant in one suite. */
export interface Row {
  readonly suite: string;
  /** `embedded`, `dynalite`, `dynamodb` or `remote`. */
  readonly store: string;
  /** What was measured: the service's route, or a yardstick. */
  readonly what: string;
  /** All that was measured, in its order. */
  readonly rounds: readonly Measurement[];
  readonly checks: readonly Check[];
  /** On the axis of a plot: clients, or events pending. */
  readonly at?: number;
}

/** What `npm run bench` has measured. */
export interface Results extends Machine {
  readonly startedAt: string;
  readonly finishedAt: string;
  /** Of a round. */
  readonly seconds: number;
  readonly rows: readonly Row[];
}

export type Measured = Pick<Row, 'rounds'>;

/** The round in the middle, by rate or by a quantile: a machine has moments, and a mean would keep them. */
export function median({ rounds }: Measured, by: 'perSecond' | 'p50' | LatencyTarget['quantile']): number {
  const values = rounds.map((round) => (by === 'perSecond' ? round.perSecond : round.latency[by]));
  return medianOf(values);
}

export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle) - 1] ?? NaN)) / 2;
}

export function checkLatency(measured: Measured, { quantile, belowMs }: LatencyTarget): Check {
  const found = median(measured, quantile);
  return {
    target: `${quantile} < ${String(belowMs)} ms`,
    found: `${found.toFixed(2)} ms`,
    pass: found < belowMs,
  };
}

export function checkRatio(measured: Measured, other: Measured, { to, atLeast }: RatioTarget): Check {
  const found = median(measured, 'perSecond') / median(other, 'perSecond');
  return { target: `>= ${String(atLeast)} x ${to}`, found: `${found.toFixed(2)} x`, pass: found >= atLeast };
}

/** Whether everything was answered rightly and every target kept. */
export function passed({ rounds, checks }: Row): boolean {
  return (
    rounds.every(({ errors, requests }) => errors === 0 && requests > 0) && checks.every(({ pass }) => pass)
  );
}
