import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import t from 'tap';
import { freshTables } from '../../../bench/harness/dynamodb.ts';
import { startFaultyEndpoint, type Fault } from '../../../bench/harness/faulty-endpoint.ts';
import { buildService, startEmulator } from '../../../bench/harness/service.ts';
import { LOCAL_KEY } from '../../../src/access/local.ts';
import { flood, type Flooded } from '../../support/flood.ts';
import type { Json } from '../../support/app.ts';
import { createKey, spawnKeys } from '../../support/keys-cli.ts';
import { jsonLines, startService, type Service } from '../../support/process.ts';
import { residentMiB } from '../../support/stdout.ts';

/** `OVERLOAD_SECONDS=60` for longer floods. */
const SECONDS = Number(process.env['OVERLOAD_SECONDS'] ?? '8');
const OTHER_PER_SECOND = 10;

buildService();
const BUILT = [process.execPath, 'dist/cli/triggers-api.js'] as const;
/** A rate limit that is not reached. */
const OTHER_TENANT = ['--tenant', 'other', '--rate-limit', '999999999'];

interface Look {
  readonly ms: number;
  /** What a reply that is not 200 says. */
  readonly problem: string | undefined;
}

async function look(url: string): Promise<Look> {
  const from = performance.now();
  const reply = await fetch(url);
  const text = await reply.text();
  return { ms: performance.now() - from, problem: reply.status === 200 ? undefined : text };
}

/** Looks at the service until the load has ended. */
async function watch({ url, child }: Service, load: Promise<unknown>) {
  let over = false as boolean;
  void load.finally(() => (over = true));
  let peakMib = 0;
  const health: Look[] = [];
  const ready: Look[] = [];
  while (!over) {
    health.push(await look(`${url}/v1/health`));
    ready.push(await look(`${url}/v1/ready`));
    peakMib = Math.max(peakMib, residentMiB(child.pid ?? 0));
    await sleep(50);
  }
  return { peakMib, health, ready };
}

/** Milliseconds until the service is ready and takes each of some events. */
async function recovery(url: string): Promise<number> {
  const from = performance.now();
  for (;;) {
    const calm = { url, key: LOCAL_KEY, perSecond: 20, seconds: 0.5, bytes: 100 };
    const [{ accepted } = { accepted: [] }] = await flood([calm]);
    if (accepted.length === 10 && (await look(`${url}/v1/ready`)).problem === undefined) {
      return performance.now() - from;
    }
    if (performance.now() - from > 30_000) throw new Error('it does not recover');
  }
}

async function pending(url: string): Promise<number> {
  const reply = await fetch(`${url}/inbox?limit=1`, { headers: { 'x-api-key': LOCAL_KEY } });
  const page = (await reply.json()) as { pagination: { total_undelivered: number } };
  return page.pagination.total_undelivered;
}

/** Milliseconds that the service itself took for events, in order of size: a load on a busy machine learns of replies late. */
function times(lines: readonly Json[], tenant: string, status: number): readonly number[] {
  return lines
    .filter(
      (line) => line['route'] === '/v1/events' && line['tenant'] === tenant && line['status'] === status,
    )
    .map((line) => Number(line['response_time_ms']))
    .sort((a, b) => a - b);
}

interface Slow {
  readonly name: string;
  readonly service: Service;
  readonly otherKey: string;
  /** Events a second that it takes for long. */
  readonly sustained: number;
  /** Of each payload. */
  readonly bytes: number;
  /** The part of another tenant's events that is taken at least. */
  readonly ofOther: number;
  /** Makes the store quick again. */
  readonly heal: () => void;
}

/** Four times what the service can take with its slow store, and beside it another tenant that sends little. */
async function overload(t: Test, { name, service, otherKey, sustained, bytes, ofOther, heal }: Slow) {
  const { url } = service;
  const flooding = { url, key: LOCAL_KEY, seconds: SECONDS, bytes };
  const other = { url, key: otherKey, seconds: SECONDS, perSecond: OTHER_PER_SECOND, bytes };
  const [calm] = await flood([{ ...flooding, perSecond: sustained, seconds: 3 }]);
  const before = residentMiB(service.child.pid ?? 0);
  const start = service.output().length;
  const load = flood([{ ...flooding, perSecond: 4 * sustained }, other]);
  const { peakMib, health, ready } = await watch(service, load);
  const [main, little] = await load;
  const recoveredMs = await recovery(url);
  const lines = jsonLines(service.output().slice(start));
  heal();
  const stored = (await pending(url)) - 10;
  if (!calm || !main || !little) throw new Error('a flood is missing');

  const [accepted, refused] = [times(lines, 'default', 201), times(lines, 'default', 503)];
  const spread = (sorted: readonly number[]): string =>
    [0.5, 0.99, 1].map((part) => quantile(sorted, part).toFixed(0)).join(', ');
  const looks = (of: readonly Look[]): string => spread(of.map(({ ms }) => ms).sort((a, b) => a - b));
  const counts = (of: Flooded): string =>
    `${String(of.accepted.length)} accepted, ${String(of.refused.length)} refused, ${String(of.wrong.length)} wrong`;
  t.comment(
    [
      `${name}; times are p50, p99 and slowest in ms`,
      `${String(sustained)}/s for 3 s: ${counts(calm)}`,
      `${String(4 * sustained)}/s for ${String(SECONDS)} s: ${counts(main)}; accepted in ${spread(accepted)}, refused in ${spread(refused)}`,
      `as the load sees it: accepted in ${spread(main.accepted)}, refused in ${spread(main.refused)}; stored with these two loads ${String(stored)}`,
      `another tenant at ${String(OTHER_PER_SECOND)}/s: ${counts(little)}; accepted in ${spread(times(lines, 'other', 201))}`,
      `memory ${before.toFixed(0)} MiB before, ${peakMib.toFixed(0)} at most; health ${looks(health)}; ready ${looks(ready)}; recovered after ${recoveredMs.toFixed(0)} ms`,
    ].join('\n'),
  );
  t.ok(calm.accepted.length >= 0.98 * 3 * sustained, 'the rate is sustainable');
  t.strictSame([...main.wrong, ...little.wrong].slice(0, 5), [], '201, or 503 with Retry-After');
  t.ok(main.accepted.length / SECONDS > 0.7 * sustained, 'the store stays busy');
  t.ok(refused.length > 0 && quantile(refused, 0.99) < 2_000, 'who is refused learns it within 2 s');
  t.ok(quantile(accepted, 0.99) < 1_900, 'who is accepted learns it within the deadline');
  t.ok(little.accepted.length >= ofOther * SECONDS * OTHER_PER_SECOND, 'another tenant goes on');
  t.ok(stored >= calm.accepted.length + main.accepted.length, 'what was accepted is stored');
  t.ok(peakMib - before < 450, `${(peakMib - before).toFixed(0)} MiB more`);
  t.same(
    health.filter(({ problem }) => problem),
    [],
    'alive',
  );
  t.same(
    ready.filter(({ problem }) => problem),
    [],
    'ready',
  );
  t.ok(looksMax(health) < 1_000, 'health is quick');
  t.ok(recoveredMs < 5_000, 'all is back');
}

function looksMax(looks: readonly Look[]): number {
  return Math.max(...looks.map(({ ms }) => ms));
}

/** @param part from 0 to 1. */
function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

void t.test('four times what a slow disk can take', async (t) => {
  const env = { DATA_DIR: t.testdir() };
  // The tracer is a grandchild, so that the process that is started is the service.
  const strace = ['strace', '-D', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null'] as const;
  const slow = ['-e', 'trace=fdatasync', '-e', 'inject=fdatasync:delay_enter=500000'] as const;
  const service = await startService(t, env, [...strace, ...slow, ...BUILT]);
  const { key: otherKey } = await createKey(spawnKeys, env, ...OTHER_TENANT);
  // 8 MiB share a sync, so a low rate is enough.
  const load = { sustained: 120, bytes: 100_000, ofOther: 0.95, heal: () => undefined };
  await overload(t, { name: 'a disk whose sync takes 0.5 s', service, otherKey, ...load });
});

void t.test('four times the capacity of a slow DynamoDB', async (t) => {
  const emulator = await startEmulator();
  t.teardown(() => emulator.stop());
  const proxy = await startFaultyEndpoint(t, emulator.endpoint);
  const tables = freshTables();
  const env = {
    STORE: 'dynamodb',
    DYNAMODB_ENDPOINT_URL: proxy.endpoint,
    EVENTS_TABLE: tables.events,
    CLAIMS_TABLE: tables.claims,
    API_KEYS_TABLE: tables.keys,
  };
  const service = await startService(t, env, BUILT);
  const { key: otherKey } = await createKey(spawnKeys, env, ...OTHER_TENANT);
  proxy.fault = throttled(150);
  const heal = () => {
    proxy.fault = () => undefined;
  };
  const load = { sustained: 120, bytes: 100, ofOther: 0.5, heal };
  await overload(t, { name: 'a DynamoDB that throttles beyond 150 events/s', service, otherKey, ...load });
});

/** A table with so many write units a second, of which it keeps those of one second. */
function throttled(perSecond: number): (operation: string, body: string) => Fault | undefined {
  let left = perSecond;
  let at = performance.now();
  return (operation, body) => {
    if (operation !== 'BatchWriteItem') return undefined;
    const now = performance.now();
    left = Math.min(perSecond, left + ((now - at) * perSecond) / 1000);
    at = now;
    const asked = body.split('"PutRequest"').length - 1;
    const taken = Math.min(asked, Math.floor(left));
    left -= taken;
    return taken < asked ? { kind: 'partial', taken } : undefined;
  };
}
