import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import t from 'tap';
import { measure } from '../../../bench/harness/load.ts';
import {
  buildService,
  startEmulator,
  startService,
  type Emulator,
  type Service,
} from '../../../bench/harness/service.ts';
import type { Measurement } from '../../../bench/load/job.ts';
import { residentMiB } from '../../support/stdout.ts';

const SECONDS = 8;

buildService();

/** What the service does while a load is on it. */
interface Watched {
  /** Resident memory. */
  readonly peakMib: number;
  readonly slowestHealthMs: number;
}

/** Looks at the service until the load has ended. */
async function watch({ url, pid }: Service, load: Promise<unknown>): Promise<Watched> {
  let over = false as boolean;
  const ended = load.finally(() => (over = true));
  let peakMib = 0;
  let slowestHealthMs = 0;
  while (!over) {
    const started = performance.now();
    const { status } = await fetch(`${url}/v1/health`);
    if (status !== 200) throw new Error(`health is ${String(status)}`);
    slowestHealthMs = Math.max(slowestHealthMs, performance.now() - started);
    peakMib = Math.max(peakMib, residentMiB(pid ?? 0));
    await sleep(50);
  }
  await ended;
  return { peakMib, slowestHealthMs };
}

/** Four times what the service can take, from a load that does not wait for answers, and then a quarter of it. */
async function overload(t: Test, emulator: Emulator | null): Promise<void> {
  const service = await startService(emulator);
  t.teardown(() => service.stop());
  const job = { ...service, traffic: 'create-v1', warmUpSeconds: 1 };
  const place = emulator === null ? 'load' : 'any';
  const { perSecond: sustained } = await measure(
    { ...job, kind: 'saturate', clients: 512, seconds: 3 },
    place,
  );
  const before = residentMiB(service.pid ?? 0);

  const load = measure({ ...job, kind: 'steady', perSecond: 4 * sustained, seconds: SECONDS }, place);
  const { peakMib, slowestHealthMs } = await watch(service, load);
  const under: Measurement = await load;
  t.comment(
    `${emulator?.name ?? 'embedded'}: ${sustained.toFixed(0)} events/s at most; of ${(4 * sustained).toFixed(0)}/s, ` +
      `${String(under.requests)} in ${String(SECONDS)} s answered, p95 ${under.latency.p95.toFixed(0)} ms, ${String(under.errors)} errors (${String(under.firstError)}); ` +
      `memory ${before.toFixed(0)} MiB before, ${peakMib.toFixed(0)} at most; health ${slowestHealthMs.toFixed(0)} ms at most`,
  );
  t.ok(peakMib - before < 400, `${(peakMib - before).toFixed(0)} MiB more`);
  t.ok(under.requests > 0);
  if (under.errors > 0) t.match(under.firstError, /answered 503|ECONNRESET|closed|no answer/i);

  await sleep(2_000);
  const after = await measure(
    { ...job, kind: 'steady', perSecond: Math.max(1, sustained / 4), warmUpSeconds: 0, seconds: 3 },
    place,
  );
  t.equal(after.errors, 0, String(after.firstError));
  t.ok(after.requests > 0);
}

void t.test('four times the load that the embedded store can take', (t) => overload(t, null));

void t.test('four times the load that the service can take on DynamoDB', async (t) => {
  const emulator = await startEmulator();
  t.teardown(() => emulator.stop());
  await overload(t, emulator);
});
