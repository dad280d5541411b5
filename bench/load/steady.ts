import { Agent, request } from 'node:http';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { createMeter } from './measuring.ts';
import type { Call, Measurement, Pace, Target, Timed } from './job.ts';
import type { Traffic } from './traffic.ts';

export type Steady = Target & Timed & Pace;

/** Connections at most; a server that keeps so many waiting has failed already. */
const MAX_CONNECTIONS = 1_000;

/**
 * An open loop: requests start evenly spaced, whether those before are answered or not, and each one's time counts from
 * when it was due. A server, or a client, that falls behind is thereby charged for all whom it keeps waiting
 * (coordinated omission). Not autocannon, whose rate is a burst at the start of each second:
 * docs/decisions/030-how-speed-is-measured.md.
 */
export async function runSteady(job: Steady, traffic: Traffic): Promise<Measurement> {
  const meter = createMeter(job.pid);
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_CONNECTIONS });
  const underWay = new Set<Promise<void>>();

  const start = performance.now();
  const measureFrom = start + job.warmUpSeconds * 1000;
  const end = measureFrom + job.seconds * 1000;
  const one = async (due: number): Promise<void> => {
    const call = traffic.next();
    try {
      const { status, body } = await send(agent, job, call);
      const right = status === call.status;
      if (right) traffic.learn?.(call, body);
      if (due >= measureFrom) {
        meter.answered(
          performance.now() - due,
          right ? undefined : `${call.method} ${call.path} answered ${String(status)}: ${body}`,
        );
      }
    } catch (error) {
      meter.failed(`${call.method} ${call.path}: ${String(error)}`);
    }
  };
  let begun = false;
  for (let sent = 0; ;) {
    const now = performance.now();
    if (!begun && now >= measureFrom) {
      meter.begin();
      begun = true;
    }
    if (now >= end) break;
    for (let due; (due = start + (sent * 1000) / job.perSecond) <= now; sent++) {
      const sending = one(due).finally(() => underWay.delete(sending));
      underWay.add(sending);
    }
    await (job.spin ? nextTurn() : sleep(1));
  }
  const measurement = await Promise.all(underWay).then(() => meter.end());
  agent.destroy();
  // The wait for the last answers is not time in which requests were sent.
  return { ...measurement, perSecond: measurement.requests / job.seconds };
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** One request; resolves with the whole answer. */
export function send(
  agent: Agent,
  { url, key }: Pick<Target, 'url' | 'key'>,
  { method, path, body }: Omit<Call, 'status'>,
): Promise<Answer> {
  const headers = { 'x-api-key': key, 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const outgoing = request(url + path, { agent, method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: text });
      });
      response.on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
