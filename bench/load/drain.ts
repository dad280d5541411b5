import { setTimeout as sleep } from 'node:timers/promises';
import { createMeter } from './measuring.ts';
import { bodyOf, exchange, openConnection, requestBytes } from './connection.ts';
import type { Call, Measurement, Target } from './job.ts';
import { EVENT } from './traffic.ts';

export interface Drain extends Target {
  readonly clients: number;
  /** Events of one call; 1: by the route of one event. */
  readonly perCall: number;
  /** Whether each call acknowledges what it was given by the one before, and leases the next. */
  readonly byLease: boolean;
  /** Events to send first, and then to acknowledge. */
  readonly count: number;
}

/** Events of one call while the inbox is filled. */
const FILL_PER_CALL = 500;

/** Sends events, and measures how fast clients acknowledge them. `requests` and the rate count events, the latency is that of calls. */
export async function runDrain(job: Drain): Promise<Measurement> {
  const ids = await fill(job);
  return job.byLease ? leaseAll(job) : acknowledgeAll(job, ids);
}

/** As workers do: a call settles the leases of the one before and leases the next, until all are settled. */
async function leaseAll(job: Drain): Promise<Measurement> {
  const connections = Array.from({ length: job.clients }, () => openConnection(job.url));
  const meter = createMeter(job);
  let settled = 0;
  let asked = performance.now();
  meter.begin();
  await Promise.all(
    connections.map(async (connection) => {
      let tokens: readonly string[] = [];
      // An event that a call could not lease comes to a later one.
      while (tokens.length > 0 || (settled < job.count && performance.now() < asked + PATIENCE_MS)) {
        const body = JSON.stringify({ limit: job.perCall, settle: { ack: tokens } });
        const request = requestBytes(job, { method: 'POST', path: '/v1/inbox/lease', body, status: 200 });
        const sentAt = performance.now();
        const { status, reply } = await exchange(connection, request);
        const acknowledged = reply.split('"outcome":"acknowledged"').length - 1;
        const isGood = status === 200 && acknowledged === tokens.length;
        meter.answered(performance.now() - sentAt, isGood ? undefined : `answered ${reply}`);
        settled += acknowledged;
        tokens = [...reply.matchAll(/"token":"([^"]+)"/g)].map(([, token = '']) => token);
        if (tokens.length > 0) asked = performance.now();
        else await sleep(PAUSE_MS);
      }
    }),
  );
  const measured = meter.end();
  for (const connection of connections) connection.close();
  if (settled !== job.count)
    throw new Error(`${String(settled)} events instead of ${String(job.count)} were leased`);
  return { ...measured, requests: settled, perSecond: measured.perSecond * (settled / measured.requests) };
}

/** How long the last events are looked for. */
const PATIENCE_MS = 20_000;
/** After an answer without events. */
const PAUSE_MS = 5;

/**
 * Acknowledges events by their ids: all together once, each client its next call when the one before is answered.
 */
async function acknowledgeAll(job: Drain, ids: readonly string[]): Promise<Measurement> {
  const calls: Call[] = [];
  for (let at = 0; at < ids.length; at += job.perCall) calls.push(callFor(ids.slice(at, at + job.perCall)));
  const connections = Array.from({ length: job.clients }, () => openConnection(job.url));
  const requests = calls.map((call) => requestBytes(job, call));
  const meter = createMeter(job);
  meter.begin();
  await Promise.all(
    connections.map(async (connection) => {
      for (let request = requests.pop(); request !== undefined; request = requests.pop()) {
        const sentAt = performance.now();
        const { status, reply } = await exchange(connection, request);
        meter.answered(performance.now() - sentAt, status === 200 ? undefined : `answered ${reply}`);
      }
    }),
  );
  const measured = meter.end();
  for (const connection of connections) connection.close();
  return {
    ...measured,
    requests: measured.requests * job.perCall,
    perSecond: measured.perSecond * job.perCall,
  };
}

async function fill(job: Drain): Promise<string[]> {
  const connection = openConnection(job.url);
  const ids: string[] = [];
  while (ids.length < job.count) {
    const events = Array.from({ length: Math.min(FILL_PER_CALL, job.count - ids.length) }, () => EVENT);
    const call = {
      method: 'POST',
      path: '/v1/events/batch',
      body: `{"events":[${events.join(',')}]}`,
    } as const;
    const { status, reply } = await exchange(connection, requestBytes(job, { ...call, status: 200 }));
    if (status !== 200) throw new Error(`cannot fill the inbox: ${reply}`);
    const { results } = JSON.parse(bodyOf(reply)) as { results: { event_id: string }[] };
    for (const { event_id } of results) ids.push(event_id);
  }
  connection.close();
  return ids;
}

function callFor(ids: readonly string[]): Call {
  const [first = ''] = ids;
  return ids.length === 1
    ? { method: 'POST', path: `/v1/events/${first}/ack`, status: 200 }
    : { method: 'POST', path: '/v1/events/ack', body: JSON.stringify({ event_ids: ids }), status: 200 };
}
