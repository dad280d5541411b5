import type { Machine } from '../harness/machine.ts';

/** MiB at a time. `anonymous` is the process's own; the rest of `resident` are pages of its files and of the store's. */
export interface Sample {
  readonly minute: number;
  readonly resident: number;
  readonly anonymous: number;
}

/** What `npm run bench -- memory` has measured. */
export interface MemoryResults extends Machine {
  readonly startedAt: string;
  /** Requests that were answered. */
  readonly perSecond: number;
  /** In equal distances. */
  readonly samples: readonly Sample[];
}

/** Resident memory of the last fifth of the time by that of the second. */
export interface Growth {
  readonly least: number;
  readonly median: number;
}

export function growthOf(samples: readonly Sample[]): Growth {
  const [second = [], last = []] = [1, 4].map((fifth) => {
    const part = samples.slice((fifth * samples.length) / 5, ((fifth + 1) * samples.length) / 5);
    return part.map(({ resident }) => resident).sort((a, b) => a - b);
  });
  const ratio = (share: number): number =>
    (last[Math.floor(last.length * share)] ?? NaN) / (second[Math.floor(second.length * share)] ?? NaN);
  return { least: ratio(0), median: ratio(0.5) };
}

export function describeGrowth({ least, median }: Growth): string {
  const percent = (ratio: number) => `${ratio > 1 ? '+' : ''}${((ratio - 1) * 100).toFixed(1)}%`;
  return `least ${percent(least)}, median ${percent(median)}`;
}
