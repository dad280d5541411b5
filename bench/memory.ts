/**
 * `npm run bench:memory [-- minutes]`: whether the service's memory stays as it is while it does all it can, on the
 * embedded store: 256 clients create and delete as fast as they are answered (default: for 10 minutes). Linux. Ends with 1
 * when it grows: when the least that it needed in the last fifth of the time is 5% above the least of the second fifth. The least,
 * because a collected heap goes up and down by a tenth within seconds, and what leaks is never collected.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { measure } from './harness/load.ts';
import { startService } from './harness/service.ts';
import type { Measurement } from './load/job.ts';
import type { Results } from './results.ts';
import { describeMachine } from './results.ts';
import { address, CROWD } from './setting.ts';

/** MiB at a time. `anonymous` is the process's own; the rest of `resident` are pages of its files and of the store's. */
export interface Sample {
  readonly minute: number;
  readonly resident: number;
  readonly anonymous: number;
}

export interface MemoryResults extends Pick<Results, 'machine' | 'node' | 'commit' | 'pinned' | 'startedAt'> {
  readonly samples: readonly Sample[];
  readonly load: Measurement;
}

/** Resident memory of the last fifth of the time by that of the second. */
export interface Growth {
  readonly least: number;
  readonly median: number;
}

const MOST_GROWTH = 1.05;
const SAMPLES = 60;

if (import.meta.filename === process.argv[1]) process.exitCode = await main(Number(process.argv[2] ?? 10));

async function main(minutes: number): Promise<number> {
  const startedAt = new Date().toISOString();
  const service = await startService(null);
  const start = performance.now();
  const seconds = minutes * 60;
  const timed = { warmUpSeconds: 0, seconds };
  const loading = measure(
    { kind: 'closed', traffic: 'turnover', clients: CROWD, ...timed, ...address(service) },
    'load',
  );
  const samples: Sample[] = [];
  console.log('minute  resident MiB  anonymous MiB');
  for (let i = 1; i <= SAMPLES; i++) {
    await sleep(Math.max(0, start + (i * seconds * 1000) / SAMPLES - performance.now()));
    const sample = { minute: (i * minutes) / SAMPLES, ...memoryOf(service.pid ?? 0) };
    samples.push(sample);
    const { minute, resident, anonymous } = sample;
    console.log(
      `${minute.toFixed(1).padStart(6)}  ${resident.toFixed(1).padStart(12)}  ${anonymous.toFixed(1).padStart(13)}`,
    );
  }
  const load = await loading;
  await service.stop();
  const growth = growthOf(samples);
  const results: MemoryResults = { ...describeMachine(), startedAt, samples, load };
  mkdirSync('bench/results', { recursive: true });
  writeFileSync('bench/results/memory.json', `${JSON.stringify(results, null, 1)}\n`);
  console.log(
    `${load.perSecond.toFixed(0)} requests/s, ${String(load.errors)} errors, server busy on ${load.serverCores?.toFixed(2) ?? '?'} cores; ` +
      `resident memory of the last fifth against the second: ${describeGrowth(growth)}`,
  );
  return growth.least <= MOST_GROWTH && load.errors === 0 ? 0 : 1;
}

function memoryOf(pid: number): Omit<Sample, 'minute'> {
  const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  const mebibytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
  return { resident: mebibytes('VmRSS'), anonymous: mebibytes('RssAnon') };
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
