import { fill } from '../harness/load.ts';
import type { Measurement, Target } from '../load/job.ts';
import type { LatencyTarget, Row } from '../report/results.ts';
import { checkLatency } from '../report/results.ts';
import type { Load, Setting } from './setting.ts';
import { address, loadPlace, measureOne } from './setting.ts';

/** A suite is run by its name; docs/contributing.md says how to add one. */
export interface Suite {
  readonly name: string;
  readonly about: string;
  readonly on: readonly Setting['store'][];
  readonly run: (setting: Setting) => Promise<Row[]>;
}

/** One row of a suite, and what it has to keep on which store. */
export interface Measure {
  readonly what: string;
  readonly load: Load;
  readonly targets?: Partial<Record<Setting['store'], readonly LatencyTarget[]>>;
  /** On the axis of a plot. */
  readonly at?: number;
}

export const EVERYWHERE: Suite['on'] = ['embedded', 'dynamodb', 'remote'];
export const HERE: Suite['on'] = ['embedded', 'dynamodb'];

export const below = (quantile: LatencyTarget['quantile'], belowMs: number): LatencyTarget => ({
  quantile,
  belowMs,
});

export const steady = (traffic: string) => ({ kind: 'steady', perSecond: 1_000, traffic }) as const;
export const closed = (traffic: string, clients: number) => ({ kind: 'closed', clients, traffic }) as const;

/** Measures that take turns, round by round, on one service with so many events pending. */
export function latencySuite(
  { name, about, on, pending = 0 }: Omit<Suite, 'run'> & { readonly pending?: number },
  measures: readonly Measure[],
): Suite {
  return {
    name,
    about,
    on,
    async run(setting) {
      const service = await setting.start();
      try {
        setting.progress(pending > 0 ? `filling the inbox` : '');
        await fill(
          { ...address(service), count: Math.min(pending, setting.mostPending) },
          loadPlace(setting),
        );
        return await measureInTurns(setting, name, service, measures);
      } finally {
        await service.stop();
      }
    },
  };
}

export async function measureInTurns(
  setting: Setting,
  suite: string,
  service: Target,
  measures: readonly Measure[],
): Promise<Row[]> {
  const rounds = measures.map((): Measurement[] => []);
  for (let round = 0; round < setting.rounds; round++) {
    for (const [index, { what, load }] of measures.entries()) {
      setting.progress(`${what}, round ${String(round + 1)} of ${String(setting.rounds)}`);
      rounds[index]?.push(await measureOne(setting, service, load));
    }
  }
  return measures.map(({ what, targets, at }, index) => {
    const measured = { rounds: rounds[index] ?? [] };
    const wanted = (setting.withTargets && targets?.[setting.store]) || [];
    const checks = wanted.map((target) => checkLatency(measured, target));
    return { suite, store: setting.storeLabel, what, ...measured, checks, ...(at !== undefined && { at }) };
  });
}
