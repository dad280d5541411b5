import autocannon from 'autocannon';
import type { Request } from 'autocannon';
import { setTimeout as sleep } from 'node:timers/promises';
import { createMeter } from './measuring.ts';
import type { Call, Measurement, Target, Timed } from './job.ts';
import type { Traffic } from './traffic.ts';

export interface ClosedLoop extends Target, Timed {
  readonly clients: number;
  /** Of all clients together, at most: autocannon sends them in one burst at the start of each second. */
  readonly perSecond?: number;
}

const DAY_SECONDS = 86_400;

/**
 * So many clients, each of which sends its next request when the one before is answered: autocannon. Its own histogram holds
 * whole milliseconds and has no p95, so that each answer's time is taken from its events.
 */
export async function runClosedLoop(job: ClosedLoop, traffic: Traffic): Promise<Measurement> {
  const meter = createMeter(job);
  // autocannon tells the status of an answer first to its request and then, in the same turn, its time to us.
  let problem: string | undefined;
  const headers = { 'x-api-key': job.key, 'content-type': 'application/json' };
  const requests: Request[] =
    traffic.constant === undefined
      ? [varying(traffic, headers, (found) => (problem = found))]
      : [toRequest(traffic.constant)];
  const wanted = traffic.constant?.status;
  const options = {
    url: job.url,
    connections: job.clients,
    // Ended by `stop` below; its own end comes at whole seconds only.
    duration: DAY_SECONDS,
    headers,
    requests,
    ...(job.perSecond !== undefined && { overallRate: job.perSecond }),
  };
  let ended: () => void;
  const end = new Promise<void>((resolve) => (ended = resolve));
  const run = autocannon(options, () => {
    ended();
  });
  run.on('response', (_client, status, _bytes, ms) => {
    if (wanted !== undefined) problem = status === wanted ? undefined : `status ${String(status)}`;
    meter.answered(ms, problem);
  });
  run.on('reqError', (error: unknown) => {
    meter.failed(String(error));
  });
  await sleep(job.warmUpSeconds * 1000);
  meter.begin();
  await sleep(job.seconds * 1000);
  const measurement = meter.end();
  run.stop();
  await end;
  return measurement;
}

interface Context {
  call?: Call;
}

function varying(
  traffic: Traffic,
  headers: Readonly<Record<string, string>>,
  checked: (problem: string | undefined) => void,
): Request {
  return {
    setupRequest(request, context: Context) {
      context.call = traffic.next();
      // Headers anew: autocannon leaves the length of one request's body in them, and a GET after it would wait for one.
      return { ...request, headers: { ...headers }, ...toRequest(context.call) };
    },
    onResponse(status, body, { call }: Context) {
      if (call === undefined) throw new Error('autocannon has answered a request that it did not send');
      const right = status === call.status;
      checked(right ? undefined : `${call.method} ${call.path} answered ${String(status)}: ${body}`);
      if (right) traffic.learn?.(call, body);
    },
  };
}

function toRequest({ method, path, body }: Call): Request {
  return { method, path, ...(body === undefined ? {} : { body }) };
}
