import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from './connection.ts';
import { bodyOf, openConnection, requestBytes } from './connection.ts';
import { createMeter } from './measuring.ts';
import type { Measurement, Pace, Target, Timed } from './job.ts';
import type { Traffic } from './traffic.ts';

export type Steady = Target & Timed & Pace;

/** Connections at most; a server that keeps so many waiting has failed already. */
const MAX_CONNECTIONS = 1_000;

/** How long, after the last request was due, the rest is sent and its answers are waited for. */
const PATIENCE_MS = 10_000;

/**
 * An open loop: requests start evenly spaced, whether those before are answered or not, and each one's time counts from
 * when it was due. A server, or a client, that falls behind is thereby charged for all whom it keeps waiting
 * (coordinated omission). Not autocannon, whose rate is a burst at the start of each second:
 * docs/decisions/030-how-speed-is-measured.md.
 */
export async function runSteady(job: Steady, traffic: Traffic): Promise<Measurement> {
  const meter = createMeter(job);
  const idle: Connection[] = [];
  const all: Connection[] = [];
  const constant = traffic.constant && requestBytes(job, traffic.constant);
  const start = performance.now();
  const measureFrom = start + job.warmUpSeconds * 1000;
  const end = measureFrom + job.seconds * 1000;
  const dueAt = (index: number): number => start + (index * 1000) / job.perSecond;
  let underWay = 0;

  const connection = (): Connection => {
    for (let free; (free = idle.pop()) !== undefined;) if (free.usable) return free;
    const opened = openConnection(job.url);
    all.push(opened);
    return opened;
  };
  const one = (due: number): void => {
    const call = traffic.next();
    const used = connection();
    underWay++;
    used.exchange(constant ?? requestBytes(job, call), {
      answered(status, reply) {
        const ms = performance.now() - due;
        underWay--;
        idle.push(used);
        const right = status === call.status;
        if (right) traffic.learn?.(call, bodyOf(reply));
        if (due < measureFrom) return;
        meter.answered(
          ms,
          right ? undefined : `${call.method} ${call.path} answered ${String(status)}: ${bodyOf(reply)}`,
        );
      },
      // Its connection is not used again.
      failed(error) {
        underWay--;
        meter.failed(`${call.method} ${call.path}: ${String(error)}`);
      },
    });
  };

  let begun = false;
  let sent = 0;
  for (;;) {
    const now = performance.now();
    if (!begun && now >= measureFrom) {
      meter.begin();
      begun = true;
    }
    while (dueAt(sent) <= now && dueAt(sent) < end && underWay < MAX_CONNECTIONS) one(dueAt(sent++));
    const allSent = dueAt(sent) >= end;
    if (now >= end && ((allSent && underWay === 0) || now >= end + PATIENCE_MS)) break;
    if (!job.spin || now >= end) await sleep(1);
    else if (underWay > 0) await nextTurn();
    else spinUntil(dueAt(sent));
  }
  for (let left = underWay; left > 0; left--) meter.failed('no answer');
  for (; dueAt(sent) < end; sent++) meter.failed('no connection was free to send it');
  const measurement = meter.end();
  for (const each of all) each.close();
  // The wait for the last answers is not time in which requests were sent.
  return { ...measurement, perSecond: measurement.requests / job.seconds };
}

const SPINS_A_LOOK = 2_000;

/** Without system calls, and looking at the clock seldom: each look leaves a number for the garbage collector. */
export function spinUntil(time: number): void {
  for (let spins = 0; performance.now() < time;) {
    for (const next = spins + SPINS_A_LOOK; spins < next;) spins++;
  }
}
