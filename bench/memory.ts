/**
 * `npm run bench:memory [-- minutes]`: whether the service's memory stays as it is while it does all it can, on the
 * embedded store: 256 clients create and delete as fast as they are answered (default: for 10 minutes). Linux. Ends with 1
 * when it grows by more than 5% after the first fifth of the time.
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
  /** Median of the last fifth by that of the second. */
  readonly growth: number;
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
  const growth = fifth(samples, 4) / fifth(samples, 1);
  const results: MemoryResults = { ...describeMachine(), startedAt, samples, load, growth };
  mkdirSync('bench/results', { recursive: true });
  writeFileSync('bench/results/memory.json', `${JSON.stringify(results, null, 1)}\n`);
  const percent = ((growth - 1) * 100).toFixed(1);
  console.log(
    `${load.perSecond.toFixed(0)} requests/s, ${String(load.errors)} errors, server busy on ${load.serverCores?.toFixed(2) ?? '?'} cores; ` +
      `resident memory of the last fifth against the second: ${percent}%`,
  );
  return growth <= MOST_GROWTH && load.errors === 0 ? 0 : 1;
}

function memoryOf(pid: number): Omit<Sample, 'minute'> {
  const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  const mebibytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
  return { resident: mebibytes('VmRSS'), anonymous: mebibytes('RssAnon') };
}

/** Median of resident memory in one fifth of the time, counted from 0. */
function fifth(samples: readonly Sample[], index: number): number {
  const size = samples.length / 5;
  const part = samples.slice(index * size, (index + 1) * size).map(({ resident }) => resident);
  return part.toSorted((a, b) => a - b)[Math.floor(part.length / 2)] ?? NaN;
}
