import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClosedLoop } from './closed.ts';
import type { Call, Measurement, Target } from './job.ts';
import type { Meter } from './measuring.ts';
import { createMeter } from './measuring.ts';

/**
 * A closed loop like autocannon's, for one request that is always the same: bytes made once, and of the answer no more
 * is looked at than its status and its end. One core of autocannon is slower than one core of a bare uWebSockets.js,
 * which would then seem to be as slow as it: docs/decisions/030-how-speed-is-measured.md.
 */
export async function runSaturation(job: ClosedLoop, call: Call): Promise<Measurement> {
  const meter = createMeter(job.pid);
  const request = requestBytes(job, call);
  const sockets = Array.from({ length: job.clients }, () => connectTo(job.url));
  for (const socket of sockets) loop(socket, request, { status: call.status, meter, more: () => true });
  await sleep(job.warmUpSeconds * 1000);
  meter.begin();
  await sleep(job.seconds * 1000);
  const measurement = meter.end();
  for (const socket of sockets) socket.destroy();
  return measurement;
}

/** Sends a request so many times, as fast as it is answered; rejects on the first wrong answer. */
export async function runFill(job: Target & { clients: number; count: number }, call: Call): Promise<void> {
  const request = requestBytes(job, call);
  let left = job.count;
  await Promise.all(
    Array.from({ length: job.clients }, () => {
      const socket = connectTo(job.url);
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
        loop(socket, request, { status: call.status, meter, more: () => left-- > 0, done: resolve });
      }).finally(() => socket.destroy());
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

function loop(socket: Socket, request: Buffer, { status, meter, more, done }: Loop): void {
  let sentAt = 0;
  let received = '';
  const next = (): void => {
    if (!more()) {
      done?.();
      return;
    }
    sentAt = performance.now();
    socket.write(request);
  };
  socket.on('connect', next);
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
    const length = messageLength(received);
    if (length === undefined || received.length < length) return;
    const answered = Number(received.slice(9, 12));
    meter.answered(performance.now() - sentAt, answered === status ? undefined : `answered ${received}`);
    received = received.slice(length);
    next();
  });
  socket.on('error', (error) => {
    meter.failed(String(error));
  });
}

function connectTo(url: string): Socket {
  const { hostname, port } = new URL(url);
  return connect({ host: hostname, port: Number(port), noDelay: true });
}

const LENGTH = /\r\ncontent-length: (\d+)\r\n/i;

/** Of head and body; undefined while the head is not all there. */
function messageLength(received: string): number | undefined {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  return headEnd + 4 + Number(LENGTH.exec(received)?.[1] ?? 0);
}

function requestBytes({ url, key }: Target, { method, path, body = '' }: Call): Buffer {
  const { host } = new URL(url);
  return Buffer.from(
    `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\nx-api-key: ${key}\r\ncontent-type: application/json\r\n` +
      `content-length: ${String(Buffer.byteLength(body))}\r\n\r\n${body}`,
  );
}
