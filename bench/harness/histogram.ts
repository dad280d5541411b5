import { build } from 'hdr-histogram-js';

/** Response times, in milliseconds with microsecond resolution. */
export interface Latency {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
  /** Percentile and latency at it, for a plot. */
  readonly curve: readonly (readonly [percentile: number, ms: number])[];
}

export interface Recorder {
  record(ms: number): void;
  readonly count: number;
  summary(): Latency;
}

/** Percentiles that are kept of a round, and a plot shows: evenly spread on the scale of nines. */
export const PERCENTILES: readonly number[] = [
  0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99,
];

const LONGEST_US = 3_600e6;

/** An HDR histogram of single responses: three digits at any size, so that no quantile is an average of averages. */
export function createRecorder(): Recorder {
  const histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LONGEST_US,
    numberOfSignificantValueDigits: 3,
  });
  const at = (percentile: number): number => histogram.getValueAtPercentile(percentile) / 1000;
  return {
    record(ms) {
      histogram.recordValue(Math.min(LONGEST_US, Math.max(1, Math.round(ms * 1000))));
    },
    get count() {
      return histogram.totalCount;
    },
    summary: () => summaryOf(at, histogram.maxValue / 1000),
  };
}

/** @param at milliseconds at each of `PERCENTILES`. */
export function summaryOf(at: (percentile: number) => number, max: number): Latency {
  const curve = PERCENTILES.map((percentile) => [percentile, at(percentile)] as const);
  return { p50: at(50), p95: at(95), p99: at(99), max, curve };
}
