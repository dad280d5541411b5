import type { ColdMeasurements } from '../load/cold-keys.ts';
import type { Consumed } from '../load/consume.ts';
import type { Job, Measurement } from '../load/job.ts';
import type { Waited } from '../load/waiters.ts';
import type { Place } from './cores.ts';
import { LOADER, runToJson } from './process.ts';

/** Runs a job in a process of its own. */
export function measure(
  job: Job & { kind: 'closed' | 'saturate' | 'steady' | 'idle' | 'append' },
  place: Place,
): Promise<Measurement> {
  return runJob(job, place);
}

export function measureDrain(job: Omit<Job & { kind: 'drain' }, 'kind'>, place: Place): Promise<Measurement> {
  return runJob({ ...job, kind: 'drain' }, place);
}

export function measureConsume(
  job: Omit<Job & { kind: 'consume' }, 'kind'>,
  place: Place,
): Promise<Consumed> {
  return runJob({ ...job, kind: 'consume' }, place);
}

export function measureWaiters(
  job: Omit<Job & { kind: 'steady' }, 'kind'> & { waiters: number },
  place: Place,
): Promise<Waited> {
  return runJob({ ...job, kind: 'wait' }, place);
}

export function measureColdKeys(job: Job & { kind: 'cold-keys' }, place: Place): Promise<ColdMeasurements> {
  return runJob(job, place);
}

/** Sends so many events. */
export async function fill(
  job: Omit<Job & { kind: 'fill' }, 'kind' | 'clients'>,
  place: Place,
): Promise<void> {
  if (job.count > 0) await runJob({ ...job, kind: 'fill', clients: Math.min(64, job.count) }, place);
}

function runJob<T>(job: Job, place: Place): Promise<T> {
  return runToJson<T>([LOADER, 'bench/load/main.ts', JSON.stringify(job)], place);
}
