import type { Metric, Registry } from 'prom-client';

/** One line of the text that is served. */
export interface Value {
  readonly labels: Labels;
  readonly value: number;
  /** Where it differs from the name of the family, as in `…_bucket`. */
  readonly metricName?: string;
}

export type Labels = Readonly<Record<string, string | number>>;

/** Metrics of one name. `values` is called for each scrape. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly values: () => readonly Value[] | Promise<readonly Value[]>;
}

/**
 * Adds families to what prom-client serves. They keep their numbers in plain arrays and are read at each scrape: prom-client's own
 * counters hash the labels of each call (docs/decisions/023-metrics-are-plain-counters.md).
 */
export function register(registry: Registry, families: readonly Family[]): void {
  for (const { name, help, type, values } of families) {
    const metric = { name, help, type, get: async () => ({ name, help, type, values: await values() }) };
    // prom-client calls `name` and `get` of a metric; its type declares its own classes only.
    registry.registerMetric(metric as unknown as Metric);
  }
}

/**
 * Numbers by one label, whose values must be few.
 *
 * @param keys those that are known beforehand are served as 0: the first increase of a counter is seen only if it was there before.
 */
export function createCounts(keys: readonly string[]) {
  const counts = new Map<string, number>(keys.map((key) => [key, 0]));
  return {
    add: (key: string, by = 1): void => {
      counts.set(key, (counts.get(key) ?? 0) + by);
    },
    values: (label: string): Value[] =>
      [...counts].map(([key, value]) => ({ labels: { [label]: key }, value })),
  };
}

export type Histogram = ReturnType<typeof createHistogram>;

/** @param bounds the inclusive upper bounds of the buckets, in order and in the unit of what is observed. */
export function createHistogram(bounds: readonly number[]) {
  const counts = new Float64Array(bounds.length + 1);
  let sum = 0;
  return {
    observe(value: number): void {
      let bucket = 0;
      while (value > (bounds[bucket] ?? Infinity)) bucket++;
      counts[bucket] = (counts[bucket] ?? 0) + 1;
      sum += value;
    },

    /** @param scale what a unit of the observed values is in the unit that is served. */
    values(name: string, labels: Labels, scale = 1): Value[] {
      let total = 0;
      const buckets = [...counts].map((count, bucket): Value => {
        total += count;
        const bound = bounds[bucket];
        const le = bound === undefined ? '+Inf' : String(bound * scale);
        return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: total };
      });
      return [
        ...buckets,
        { metricName: `${name}_sum`, labels, value: sum * scale },
        { metricName: `${name}_count`, labels, value: total },
      ];
    },
  };
}

/** From half a millisecond to two seconds, the time after which every request has its answer. */
export const LATENCY_MS: readonly number[] = [0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_000];
export const MS = 1 / 1_000;
