/**
 * Workers of the client on two instances behind nginx, over DynamoDB Local, while workers and instances are killed and started
 * again: every event is handled, and for each that is handled twice there is a reason. `WORKERS=long` takes 5,000 events.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { freshTables } from '../../bench/harness/dynamodb.ts';
import { seeded } from '../../bench/harness/random.ts';
import { buildService } from '../../bench/harness/service.ts';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { startDynamoDbLocal } from '../../src/cli/dynamodb-local.ts';
import { Triggers } from '../../src/client/client.ts';
import { nginx, startInstance } from '../support/balanced.ts';

const EVENTS = process.env['WORKERS'] === 'long' ? 5_000 : 1_000;
const WORKERS = 3;
const FILLED_AT_A_TIME = 50;
const LEASE_MS = 10_000;
/** Longer than it takes until what a killed worker held is handed out again. */
const PATIENCE_MS = 120_000;

interface Handled {
  readonly eventId: string;
  readonly attempt: number;
  readonly worker: number;
  readonly at: number;
}

interface Killed {
  readonly what: string;
  /** Absent: an instance. */
  readonly worker?: number;
  readonly at: number;
}

function startWorkers(t: Test, url: string, onHandled: (one: Handled) => void) {
  const workers = new Map<number, ChildProcess>();
  let started = 0;
  const start = (): void => {
    const worker = ++started;
    const script = ['--import=./.ci/typescript.mjs', 'test/support/roll-worker.ts', url];
    const child = spawn(process.execPath, script, { stdio: ['ignore', 'pipe', 'ignore'] });
    workers.set(worker, child);
    createInterface({ input: child.stdout }).on('line', (line) => {
      onHandled({ ...(JSON.parse(line) as Omit<Handled, 'worker' | 'at'>), worker, at: performance.now() });
    });
  };
  t.teardown(() => {
    for (const child of workers.values()) child.kill('SIGKILL');
  });
  for (let n = 0; n < WORKERS; n++) start();
  return {
    /** SIGKILL for one of them, and another in its place. @returns its number. */
    async killOne(random: () => number): Promise<number> {
      const [worker, child] = [...workers][Math.floor(random() * workers.size)] ?? [];
      if (worker === undefined || child === undefined) throw new Error('no worker');
      child.kill('SIGKILL');
      await once(child, 'close');
      workers.delete(worker);
      start();
      return worker;
    },
    /** SIGTERM for all. */
    async stop(): Promise<void> {
      await Promise.all(
        [...workers.values()].map((child) => {
          child.kill('SIGTERM');
          return once(child, 'close');
        }),
      );
    },
  };
}

/** Why events were handled once more, and how often: somebody was killed before the acknowledgement had been carried out. */
function reasonsFor(events: readonly Handled[][], killed: readonly Killed[]): ReadonlyMap<string, number> {
  const reasons = new Map<string, number>();
  for (const [first, second] of events) {
    if (first === undefined || second === undefined) continue;
    const between = killed.filter(({ at }) => at > first.at - LEASE_MS && at < second.at);
    const ofWorker = between.find(({ worker }) => worker === first.worker);
    const reason = ofWorker ?? between.find(({ worker }) => worker === undefined);
    const what = reason === undefined ? 'unknown' : `${reason.what} was killed before it was acknowledged`;
    reasons.set(what, (reasons.get(what) ?? 0) + 1);
  }
  return reasons;
}

void t.test('workers and instances are killed, and every event is handled', async (t) => {
  buildService();
  const local = await startDynamoDbLocal();
  t.teardown(() => local.stop());
  const tables = freshTables();
  const env = {
    STORE: 'dynamodb',
    DYNAMODB_ENDPOINT_URL: local.endpoint,
    EVENTS_TABLE: tables.events,
    CLAIMS_TABLE: tables.claims,
    API_KEYS_TABLE: tables.keys,
    MAX_ATTEMPTS: '0',
  };
  const instances = [await startInstance(t, env), await startInstance(t, env)] as const;
  const url = await nginx.start(t, [instances[0].address, instances[1].address]);
  const { events } = new Triggers({ baseUrl: url, apiKey: LOCAL_KEY, timeoutMs: 120_000 });
  for (let from = 0; from < EVENTS; from += FILLED_AT_A_TIME) {
    const { results } = await events.sendBatch(
      Array.from({ length: FILLED_AT_A_TIME }, (_, n) => ({
        ...{ source: 's', eventType: 't', payload: { n: from + n } },
      })),
    );
    if (results.some(({ eventId }) => eventId === null)) throw new Error('the inbox could not be filled');
  }

  const handled: Handled[] = [];
  const workers = startWorkers(t, url, (one) => handled.push(one));
  const killed: Killed[] = [];
  const random = seeded(16);
  const isDone = () => new Set(handled.map(({ eventId }) => eventId)).size === EVENTS;
  const from = performance.now();
  while (!isDone() && performance.now() - from < PATIENCE_MS) {
    await sleep(500 + 2_000 * random());
    if (isDone()) break;
    if (killed.length % 2 === 0) {
      killed.push({ what: 'a worker', at: performance.now(), worker: await workers.killOne(random) });
    } else {
      const instance = instances[random() < 0.5 ? 0 : 1];
      killed.push({ what: 'an instance', at: performance.now() });
      await instance.kill();
      await instance.start();
    }
  }
  await workers.stop();

  const byEvent = new Map<string, Handled[]>();
  for (const one of handled) byEvent.set(one.eventId, [...(byEvent.get(one.eventId) ?? []), one]);
  t.equal(byEvent.size, EVENTS, 'every event is handled');
  const reasons = reasonsFor([...byEvent.values()], killed);
  const count = (what: string) => killed.filter((one) => one.what === what).length;
  t.comment(
    `${String(EVENTS)} events, ${String(count('a worker'))} workers and ${String(count('an instance'))} instances killed; ` +
      `${String(handled.length - byEvent.size)} handled once more: ${JSON.stringify(Object.fromEntries(reasons))}`,
  );
  t.notOk(reasons.has('unknown'), 'nothing is handled twice without a reason');
  t.ok(count('a worker') > 0 && count('an instance') > 0);
  const { inbox } = new Triggers({ baseUrl: url, apiKey: LOCAL_KEY });
  const left = [];
  for await (const { eventId } of inbox.list()) left.push(eventId);
  t.strictSame(left, [], 'and acknowledged');
});
