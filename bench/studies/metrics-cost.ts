/**
 * `npm run bench -- metrics [--seconds 60]`: what metrics cost ingest, in CPU time an event. Two processes differ by some percent
 * for no reason, so one process serves all the load, and its metrics are switched on and off all the time. Pairs of slices in which
 * they stay off are the control: what comes out there is the error of the method.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { positive } from '../harness/arguments.ts';
import { measure } from '../harness/load.ts';
import { introduction } from '../harness/machine.ts';
import { LOADER } from '../harness/process.ts';
import { seeded } from '../harness/random.ts';
import { startService } from '../harness/service.ts';
import type { Slice, Slices } from '../harness/switched-service.ts';
import { medianOf } from '../report/results.ts';
import { address, CROWD } from '../suites/setting.ts';

const WARM_UP_SECONDS = 5;
/** Pairs of slices in that time, at least. */
const WARM_UP_PAIRS = WARM_UP_SECONDS * 10;
/** Fewer events than this part of the median: the load had not begun, or was over. */
const BUSY_PART = 0.5;
const DRAWS = 2_000;

export async function metricsCost(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { seconds: { type: 'string', default: '60' } } });
  const seconds = positive('seconds', values.seconds);
  console.error(introduction());
  const { slices, idle } = await run(seconds);
  const perEvent = medianOf(slices.filter((each) => each.called === 'off').map(cpuPerEvent));
  console.log(`CPU an event, metrics off: ${perEvent.toFixed(2)} µs`);
  for (const pair of ['test', 'control'] as const) {
    const differences = differencesOf(slices, pair);
    const [low, middle, high] = interval(differences).map((each) => (each / perEvent) * 100);
    console.log(
      `${pair === 'test' ? 'on against off    ' : 'off against itself'}  ${percent(middle)} ` +
        `(95 % of draws: ${percent(low)} to ${percent(high)}), ${String(differences.length)} pairs`,
    );
  }
  console.log(
    `timers of the metrics: ${((idle.with - idle.without) / 10_000).toFixed(2)} % of a core ` +
      `(idle ${(idle.without / 10_000).toFixed(2)} % without, ${(idle.with / 10_000).toFixed(2)} % with)`,
  );
  return 0;
}

async function run(seconds: number): Promise<Slices> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-metrics-'));
  const file = join(folder, 'slices.json');
  try {
    const service = await startService(null, {
      nodeArgs: [LOADER],
      script: 'bench/harness/switched-service.ts',
      env: { SLICES_FILE: file },
    });
    const { errors, firstError } = await measure(
      {
        kind: 'saturate',
        traffic: 'create-v1',
        clients: CROWD,
        ...{ warmUpSeconds: WARM_UP_SECONDS, seconds },
        ...address(service),
      },
      'load',
    ).finally(() => service.stop());
    if (errors > 0) throw new Error(`wrong replies: ${String(firstError)}`);
    const found = JSON.parse(readFileSync(file, 'utf8')) as Slices;
    return { ...found, slices: underLoad(found.slices) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Whole pairs, after the warm-up, in which both slices were busy. */
function underLoad(slices: readonly Slice[]): Slice[] {
  const least = BUSY_PART * medianOf(slices.map(({ events }) => events));
  const pairs: Slice[][] = [];
  for (let at = 0; at + 1 < slices.length; at += 2) pairs.push(slices.slice(at, at + 2));
  const busy = pairs.filter((pair) => pair.every(({ events }) => events > least));
  return busy.slice(WARM_UP_PAIRS).flat();
}

function differencesOf(slices: readonly Slice[], kind: Slice['pair']): number[] {
  const differences: number[] = [];
  for (let at = 0; at + 1 < slices.length; at += 2) {
    const pair = slices.slice(at, at + 2);
    const [on, off] = [
      pair.find(({ called }) => called === 'on'),
      pair.find(({ called }) => called === 'off'),
    ];
    if (on?.pair === kind && off) differences.push(cpuPerEvent(on) - cpuPerEvent(off));
  }
  return differences;
}

function cpuPerEvent({ cpu, events }: Slice): number {
  return cpu / events;
}

/** The median of the differences, between the 2.5th and the 97.5th percentile of medians of draws from them (bootstrap). */
function interval(differences: readonly number[]): [low: number, middle: number, high: number] {
  const random = seeded(2);
  const medians = Array.from({ length: DRAWS }, () =>
    medianOf(differences.map(() => differences[Math.floor(random() * differences.length)] ?? NaN)),
  ).sort((a, b) => a - b);
  const at = (part: number) => medians[Math.floor(part * DRAWS)] ?? NaN;
  return [at(0.025), medianOf(differences), at(0.975)];
}

function percent(value: number | undefined): string {
  return `${(value ?? NaN) >= 0 ? '+' : ''}${(value ?? NaN).toFixed(2)} %`;
}
