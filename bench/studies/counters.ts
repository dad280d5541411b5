/**
 * `npm run bench -- counters`: nanoseconds of CPU that counting and timing a request takes, with the plain arrays of `src/metrics` and
 * with a Counter and a Histogram of prom-client that have the same labels (docs/decisions/023-metrics-are-plain-counters.md).
 */
import { Counter, Histogram, Registry } from 'prom-client';
import { createEventMetrics } from '../../src/metrics/event-metrics.ts';
import { createHttpMetrics } from '../../src/metrics/http-metrics.ts';
import { LATENCY_MS } from '../../src/metrics/families.ts';
import type { StoredEvent } from '../../src/store/event.ts';
import type { EventStore } from '../../src/store/event-store.ts';
import { introduction } from '../harness/machine.ts';
import { UsageError } from '../harness/arguments.ts';
import { medianOf } from '../report/results.ts';

const CALLS = 500_000;
const ROUNDS = 7;

export async function counters(args: string[]): Promise<number> {
  if (args.length > 0) throw new UsageError('counters takes no arguments');
  console.error(introduction());
  for (const [name, request] of Object.entries({
    'plain arrays': plainArrays(),
    'prom-client': promClient(),
  })) {
    const rounds = Array.from({ length: ROUNDS }, () => nanosecondsOf(request));
    print(name, rounds);
  }
  const { counted } = createEventMetrics(['v1']);
  const bare = { append: () => Promise.resolve({ outcome: 'stored' }) } as unknown as EventStore;
  for (const [name, store] of Object.entries({
    'bare append': bare,
    'counted append': counted(bare, 'v1'),
  })) {
    const rounds: number[] = [];
    for (let round = 0; round < ROUNDS; round++) rounds.push(await nanosecondsOfAppend(store));
    print(name, rounds);
  }
  return 0;
}

function print(name: string, rounds: readonly number[]): void {
  console.log(`${name.padEnd(14)} ${medianOf(rounds).toFixed(0).padStart(6)} ns`);
}

const EVENT = { tenant: 'acme' } as StoredEvent;

async function nanosecondsOfAppend(store: EventStore): Promise<number> {
  const start = process.cpuUsage();
  for (let call = 0; call < CALLS; call++) await store.append(EVENT);
  const { user, system } = process.cpuUsage(start);
  return ((user + system) * 1e3) / CALLS;
}

function nanosecondsOf(request: (call: number) => void): number {
  const start = process.cpuUsage();
  for (let call = 0; call < CALLS; call++) request(call);
  const { user, system } = process.cpuUsage(start);
  return ((user + system) * 1e3) / CALLS;
}

/** As an instance meets them: several endpoints in turn, and each request an object of its own. */
const ENDPOINTS = ['/v1/events', '/v1/inbox', '/v1/events/{event_id}/ack'].map((path) => ({
  match: { endpoint: { path } },
  method: path === '/v1/inbox' ? 'GET' : 'POST',
}));

class Request {
  readonly startedAt = performance.now();
  readonly status = 201;
  readonly method: string;
  readonly heldMs = 0;
  readonly match: (typeof ENDPOINTS)[number]['match'];

  constructor(call: number) {
    const { method = '', match = { endpoint: { path: '' } } } = ENDPOINTS[call % ENDPOINTS.length] ?? {};
    this.method = method;
    this.match = match;
  }
}

function plainArrays(): (call: number) => void {
  const { hooks } = createHttpMetrics();
  return (call) => {
    hooks.onRequest();
    hooks.onResponse(new Request(call));
  };
}

function promClient(): (call: number) => void {
  const registers = [new Registry()];
  const requests = new Counter({
    ...{ name: 'requests_total', help: 'help', registers },
    labelNames: ['route', 'method', 'status'],
  });
  const latency = new Histogram({
    ...{ name: 'duration_seconds', help: 'help', registers },
    labelNames: ['route', 'method'],
    buckets: LATENCY_MS.map((ms) => ms / 1_000),
  });
  return (call) => {
    const { match, method, status, startedAt } = new Request(call);
    const { path: route } = match.endpoint;
    requests.inc({ route, method, status });
    latency.observe({ route, method }, (performance.now() - startedAt) / 1_000);
  };
}
