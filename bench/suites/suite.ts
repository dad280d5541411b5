import { fill } from '../harness/load.ts';
import type { Measurement, Target } from '../load/job.ts';
import type { LatencyTarget, Measured, Row } from '../report/results.ts';
import { checkLatency } from '../report/results.ts';
import type { Yardstick } from '../yardsticks/start.ts';
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

/** One of those that a suite compares. */
export interface Contestant {
  readonly what: string;
  readonly start: (setting: Setting) => Promise<Yardstick>;
}

/**
 * Measures them in turn, forwards and backwards, each time in a fresh process, so that what slows the machine down for a while slows
 * all of them.
 *
 * @returns what was measured of one of them.
 */
export async function measureContest<Each extends Contestant>(
  setting: Setting,
  contestants: readonly Each[],
  measure: (contestant: Each, server: Yardstick) => Promise<Measurement>,
): Promise<(what: string) => Measured> {
  const rounds = new Map(contestants.map(({ what }) => [what, [] as Measurement[]]));
  for (let round = 0; round < setting.rounds; round++) {
    for (const contestant of round % 2 === 0 ? contestants : contestants.toReversed()) {
      setting.progress(`${contestant.what}, round ${String(round + 1)} of ${String(setting.rounds)}`);
      const server = await contestant.start(setting);
      try {
        rounds.get(contestant.what)?.push(await measure(contestant, server));
      } finally {
        await server.stop();
      }
    }
  }
  return (what) => ({ rounds: rounds.get(what) ?? [] });
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
