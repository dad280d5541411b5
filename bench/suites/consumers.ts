import { measureConsume, measureWaiters } from '../harness/load.ts';
import { freshTables } from '../harness/dynamodb.ts';
import { freePort } from '../../src/cli/dynamodb-local.ts';
import type { Measurement } from '../load/job.ts';
import {
  checkLatency,
  median,
  medianOf,
  type Check,
  type LatencyTarget,
  type Row,
} from '../report/results.ts';
import { address, loadPlace, measureOne, type Setting } from './setting.ts';
import { below, HERE, steady, type Suite } from './suite.ts';

export const consumers: Suite = {
  name: 'consumers',
  about: 'lease calls beside ingest, from the 201 to a consumer that waits, many that wait, two instances',
  on: HERE,
  run: (setting) => (setting.store === 'embedded' ? onOneInstance(setting) : onTwoInstances(setting)),
};

const CONSUMERS = 16;
const LEASES_A_CALL = 10;
const WAITERS = 10_000;
/** The p99 of health with clients that wait, as a multiple of what it is without. Two such rows differ by a fifth anyhow. */
const UNCHANGED = 1.5;
/** Of resident memory, with its connection, the request and the reply that it waits for. */
const MOST_BYTES_A_WAITER = 16 * 1024;
/** Failed conditional writes for each event that is leased. */
const MOST_IN_VAIN = 0.1;

async function onOneInstance(setting: Setting): Promise<Row[]> {
  const row = (what: string, rounds: readonly Measurement[], target: LatencyTarget): Row => ({
    ...{ suite: 'consumers', store: setting.storeLabel, what, rounds },
    checks: setting.withTargets ? [checkLatency({ rounds }, target)] : [],
  });
  const measure = async (timed: 'call' | 'delivery'): Promise<Measurement> => {
    const service = await setting.start();
    try {
      const job = { ...setting.times, ...address(service), consumers: CONSUMERS, limit: LEASES_A_CALL };
      return await measureConsume({ ...job, perSecond: 1_000, timed }, loadPlace(setting));
    } finally {
      await service.stop();
    }
  };
  const [calls, deliveries]: Measurement[][] = [[], []];
  for (let round = 1; round <= setting.rounds; round++) {
    setting.progress(`lease calls and deliveries, round ${String(round)} of ${String(setting.rounds)}`);
    calls?.push(await measure('call'));
    deliveries?.push(await measure('delivery'));
  }
  return [
    row(
      `lease call of ${String(LEASES_A_CALL)}, ${String(CONSUMERS)} consumers, 1,000 posts/s`,
      calls ?? [],
      below('p95', 15),
    ),
    row('from the 201 to a consumer that waits, 1,000 posts/s', deliveries ?? [], below('p95', 15)),
    ...(await beside(setting)),
  ];
}

/** Health, with and without clients that wait. */
async function beside(setting: Setting): Promise<Row[]> {
  const count = Math.min(WAITERS, setting.mostPending);
  const load = { ...steady('health'), spin: true };
  const alone: Measurement[] = [];
  const waited: Measurement[] = [];
  const bytes: number[] = [];
  for (let round = 1; round <= setting.rounds; round++) {
    setting.progress(`${String(count)} clients wait, round ${String(round)} of ${String(setting.rounds)}`);
    const service = await setting.start({ env: { MAX_WAITS_PER_KEY: String(2 * WAITERS) } });
    try {
      alone.push(await measureOne(setting, service, load));
      const job = { ...setting.times, ...address(service), ...load, waiters: count };
      const { bytesAWaiter, ...measured } = await measureWaiters(job, loadPlace(setting));
      waited.push(measured);
      if (bytesAWaiter !== null) bytes.push(bytesAWaiter);
    } finally {
      await service.stop();
    }
  }
  const ratio = median({ rounds: waited }, 'p99') / median({ rounds: alone }, 'p99');
  const each = medianOf(bytes);
  const checks: Check[] = [
    {
      target: `p99 <= ${String(UNCHANGED)} x alone`,
      found: `${ratio.toFixed(2)} x`,
      pass: ratio <= UNCHANGED,
    },
    {
      target: `< ${String(MOST_BYTES_A_WAITER / 1024)} KiB a waiter`,
      found: `${(each / 1024).toFixed(1)} KiB`,
      pass: each < MOST_BYTES_A_WAITER,
    },
  ];
  const common = { suite: 'consumers', store: setting.storeLabel };
  return [
    { ...common, what: 'GET /v1/health, nobody waits', rounds: alone, checks: [] },
    {
      ...common,
      what: `GET /v1/health, ${String(count)} clients wait`,
      rounds: waited,
      checks: setting.withTargets ? checks : [],
    },
  ];
}

async function onTwoInstances(setting: Setting): Promise<Row[]> {
  const rounds: Measurement[] = [];
  const inVain: number[] = [];
  for (let round = 1; round <= setting.rounds; round++) {
    setting.progress(`two instances, round ${String(round)} of ${String(setting.rounds)}`);
    const { events, claims, keys } = freshTables();
    const tables = { EVENTS_TABLE: events, CLAIMS_TABLE: claims, API_KEYS_TABLE: keys };
    const metrics = [await freePort(), await freePort()];
    const [first, second] = [
      await setting.start({ env: { ...tables, METRICS_PORT: String(metrics[0]) } }),
      await setting.start({ env: { ...tables, METRICS_PORT: String(metrics[1]) } }),
    ];
    try {
      const refused = () => sum(metrics.map((port) => refusedUpdates(port, events)));
      const job = { ...setting.times, ...address(first), otherUrl: second.url, consumers: CONSUMERS };
      const load = { ...job, limit: LEASES_A_CALL, perSecond: 200, timed: 'delivery' } as const;
      // Emulators are slow at first, and what they do not answer in time is tried again.
      const slow = { ...load, perSecond: 40, warmUpSeconds: 0, seconds: 2 * setting.times.seconds };
      await measureConsume(slow, loadPlace(setting));
      const before = await refused();
      const { leased, ...measured } = await measureConsume(load, loadPlace(setting));
      rounds.push(measured);
      inVain.push(((await refused()) - before) / leased);
    } finally {
      await Promise.all([first.stop(), second.stop()]);
    }
  }
  const found = medianOf(inVain);
  const check = {
    target: `< ${String(MOST_IN_VAIN)} failed conditional writes a leased event`,
    found: found.toFixed(3),
    pass: found < MOST_IN_VAIN,
  };
  const what = `from the 201 to a consumer that waits, two instances, ${String(CONSUMERS)} consumers, 200 posts/s`;
  const checks = setting.withTargets ? [check] : [];
  return [{ suite: 'consumers', store: setting.storeLabel, what, rounds, checks }];
}

async function sum(numbers: readonly Promise<number>[]): Promise<number> {
  return (await Promise.all(numbers)).reduce((a, b) => a + b, 0);
}

/** Updates of that table whose condition did not hold. */
async function refusedUpdates(port: number, table: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${String(port)}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith('triggers_dynamodb_requests_total{'));
  const wanted = [`table="${table}"`, 'operation="UpdateItem"', 'outcome="condition_failed"'];
  const found = lines.filter((line) => wanted.every((label) => line.includes(label)));
  return found.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' '))), 0);
}
