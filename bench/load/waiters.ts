import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { openConnection, requestBytes, type Connection } from './connection.ts';
import type { Measurement, Pace, Target, Timed } from './job.ts';
import { runSteady } from './steady.ts';
import type { Traffic } from './traffic.ts';

export interface Waiters extends Target, Timed, Pace {
  /** Clients that wait for events while the load runs; there are none. */
  readonly waiters: number;
}

export interface Waited extends Measurement {
  /** Bytes of resident memory of the server that a waiting client takes; null where the system does not tell. */
  readonly bytesAWaiter: number | null;
}

/** Connected at a time. */
const TOGETHER = 200;

/** The open loop of `runSteady`, while so many clients wait. */
export async function runWaiters(job: Waiters, traffic: Traffic): Promise<Waited> {
  const before = residentBytes(job.pid);
  const connections: Connection[] = [];
  let isOver = false;
  let problem: string | undefined;
  const body = JSON.stringify({ wait_seconds: 20 });
  const request = requestBytes(job, { method: 'POST', path: '/v1/inbox/lease', body, status: 200 });
  const wait = (connection: Connection): void => {
    connection.exchange(request, {
      answered(status, reply) {
        if (status !== 200) problem ??= reply;
        if (!isOver) wait(connection);
      },
      failed(error) {
        if (!isOver) problem ??= String(error);
      },
    });
  };
  while (connections.length < job.waiters) {
    const more = Math.min(TOGETHER, job.waiters - connections.length);
    for (let opened = 0; opened < more; opened++) {
      const connection = openConnection(job.url);
      connections.push(connection);
      wait(connection);
    }
    await sleep(50);
  }
  await sleep(1_000);
  const after = residentBytes(job.pid);
  const measured = await runSteady(job, traffic);
  isOver = true;
  for (const connection of connections) connection.close();
  const errors = measured.errors + (problem === undefined ? 0 : 1);
  const firstError = measured.firstError ?? problem ?? null;
  const bytesAWaiter = before === null || after === null ? null : (after - before) / job.waiters;
  return { ...measured, errors, firstError, bytesAWaiter };
}

function residentBytes(pid: number | null): number | null {
  if (pid === null) return null;
  try {
    const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8')) ?? [];
    return kib === undefined ? null : Number(kib) * 1024;
  } catch {
    return null;
  }
}
