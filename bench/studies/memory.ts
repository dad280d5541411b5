/**
 * `npm run bench -- memory [--minutes 10]`: whether the service's memory stays as it is while it does all it can, on the
 * embedded store: 256 clients create and delete as fast as they are answered. Linux. Ends with 1 when it grows: when the least that it needed in the last fifth of the time is 5% above the least of the second fifth. The least,
 * because a collected heap goes up and down by a tenth within seconds, and what leaks is never collected.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { positive } from '../harness/arguments.ts';
import { measure } from '../harness/load.ts';
import { describeMachine, introduction } from '../harness/machine.ts';
import { buildService, startService } from '../harness/service.ts';
import type { Sample } from '../report/memory.ts';
import { describeGrowth, growthOf } from '../report/memory.ts';
import { formatRecord } from '../report/record.ts';
import { address, CROWD } from '../suites/setting.ts';

const MOST_GROWTH = 1.05;
const SAMPLES = 60;

export async function memory(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { minutes: { type: 'string', default: '10' } } });
  const minutes = positive('minutes', values.minutes);
  console.error(introduction());
  buildService();
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
  const { perSecond } = load;
  mkdirSync('bench/results', { recursive: true });
  const results = { ...describeMachine(), startedAt, perSecond, samples };
  writeFileSync('bench/results/memory.jsonl', formatRecord({ memory: results, profiles: [] }));
  console.log(
    `${perSecond.toFixed(0)} requests/s, ${String(load.errors)} errors, server busy on ${load.serverCores?.toFixed(2) ?? '?'} cores; ` +
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
