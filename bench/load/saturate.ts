import { setTimeout as sleep } from 'node:timers/promises';
import type { ClosedLoop } from './closed.ts';
import type { Connection } from './connection.ts';
import { openConnection, requestBytes } from './connection.ts';
import type { Call, Measurement, Target } from './job.ts';
import type { Meter } from './measuring.ts';
import { createMeter } from './measuring.ts';

/**
 * A closed loop like autocannon's, for one request that is always the same: bytes made once. One core of autocannon is
 * slower than one core of a bare uWebSockets.js, which would then seem to be as slow as it:
 * docs/decisions/030-how-speed-is-measured.md.
 */
export async function runSaturation(job: ClosedLoop, call: Call): Promise<Measurement> {
  const meter = createMeter(job);
  const request = requestBytes(job, call);
  const connections = Array.from({ length: job.clients }, () => openConnection(job.url));
  // Whoever lost its connection before is missing in all that is measured: fewer clients than the row says.
  const lost: string[] = [];
  let measuring = false;
  const reporting: Loop['meter'] = {
    answered: (ms, problem) => {
      meter.answered(ms, problem);
    },
    failed: (problem) => {
      if (measuring) meter.failed(problem);
      else lost.push(problem);
    },
  };
  for (const connection of connections)
    loop(connection, request, { status: call.status, meter: reporting, more: () => true });
  await sleep(job.warmUpSeconds * 1000);
  meter.begin();
  measuring = true;
  for (const problem of lost) meter.failed(`a client was lost during the warm-up: ${problem}`);
  await sleep(job.seconds * 1000);
  const measurement = meter.end();
  for (const connection of connections) connection.close();
  return measurement;
}

/** Sends a request so many times, as fast as it is answered; rejects on the first wrong answer. */
export async function runFill(job: Target & { clients: number; count: number }, call: Call): Promise<void> {
  const request = requestBytes(job, call);
  let left = job.count;
  await Promise.all(
    Array.from({ length: job.clients }, () => {
      const connection = openConnection(job.url);
      return new Promise<void>((resolve, reject) => {
        const fail = (problem: string | undefined): void => {
          if (problem !== undefined) reject(new Error(`cannot fill the inbox: ${problem}`));
        };
        const meter = {
          answered: (_ms: number, problem?: string) => {
            fail(problem);
          },
          failed: fail,
        };
        loop(connection, request, { status: call.status, meter, more: () => left-- > 0, done: resolve });
      }).finally(() => {
        connection.close();
      });
    }),
  );
}

interface Loop {
  readonly status: number;
  readonly meter: Pick<Meter, 'answered' | 'failed'>;
  /** Asked before each request. */
  readonly more: () => boolean;
  readonly done?: () => void;
}

function loop(connection: Connection, request: Buffer, { status, meter, more, done }: Loop): void {
  let sentAt = 0;
  const next = (): void => {
    if (!more()) {
      done?.();
      return;
    }
    sentAt = performance.now();
    connection.exchange(request, outcome);
  };
  const outcome = {
    answered(found: number, reply: string): void {
      meter.answered(performance.now() - sentAt, found === status ? undefined : `answered ${reply}`);
      next();
    },
    failed(error: Error): void {
      meter.failed(String(error));
    },
  };
  next();
}
