import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import t from 'tap';
import { freshTables } from '../../bench/harness/dynamodb.ts';
import { buildService, startEmulator } from '../../bench/harness/service.ts';
import { createAgent, send } from '../../bench/load/send.ts';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { startInstance, type Balancer, type Instance } from './balanced.ts';
import { createKey, spawnKeys } from './keys-cli.ts';
import { readSlowly } from './readers.ts';
import { startRelay } from './relay.ts';
import { compare, eventBody, startLoad } from './roll-load.ts';
import { until } from './stdout.ts';

/** `ROLL=long` takes ten minutes. */
const LONG = process.env['ROLL'] === 'long';
/** How often each instance is stopped and started. */
const ROUNDS = LONG ? 15 : 3;
/** That of the service by default, or one that is just enough for the files in `docs/deploy/`. */
const GRACE_SECONDS = LONG ? 10 : 6;
/** Requests a second: few, because all of it shares two cores with dynalite. */
const RATE = 25;
/** A page of this size takes a reader some seconds, which a stop comes into. */
const PAGE_EVENTS = 100;
const READ_BYTES_PER_SECOND = 1_500_000;
const READERS = 2;
const SLEEPERS = 8;

/** Two instances before which a balancer stands: what its clients see when instances stop and start. */
export function rollSuite(balancer: Balancer): void {
  buildService();
  void t.test(`${balancer.name}: instances stop and start, and no client notices`, (t) => roll(t, balancer));
  void t.test(`${balancer.name}: it ends idle connections before the service does`, (t) => idle(t, balancer));
  void t.test(`${balancer.name}: a POST that was sent is not sent again`, (t) => sentOnce(t, balancer));
}

async function roll(t: Test, balancer: Balancer): Promise<void> {
  const env = await environment(t);
  const instances = [await startInstance(t, env), await startInstance(t, env)] as const;
  const url = await balancer.start(t, [instances[0].address, instances[1].address]);
  const largeKey = await fillPage(env, url);
  const load = startLoad(url, RATE);
  const sleepers = createSleepers(url);

  const stops: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await sleepers.open();
    for (const instance of instances) {
      const reading = Array.from({ length: READERS }, () =>
        readSlowly(
          url,
          `GET /v1/inbox?limit=100 HTTP/1.1\r\nHost: x\r\nX-API-Key: ${largeKey}\r\n\r\n`,
          READ_BYTES_PER_SECOND,
        ),
      );
      const { ms, end } = await instance.stop();
      stops.push(ms);
      t.equal(end, 0, 'it ends in good order');
      t.ok(ms < GRACE_SECONDS * 1000, `a stop takes less than the grace: ${ms.toFixed(0)} ms`);
      for (const { whole, bytes } of await Promise.all(reading)) {
        t.ok(whole, `a slow reader gets its whole page: ${String(bytes)} bytes`);
      }
      await instance.start();
      await instance.inUse();
    }
    t.strictSame(await sleepers.use(), [], 'connections of clients that were idle meanwhile');
  }
  await load.stop();

  const { ledger } = load;
  const sorted = ledger.latencies.sort((a, b) => a - b);
  const at = (part: number): string => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(0);
  t.comment(
    `${balancer.name}: ${String(stops.length)} stops of ${stops.map((ms) => (ms / 1000).toFixed(1)).join(', ')} s; ` +
      `${String(sorted.length)} requests, ${String(ledger.failures.length)} failed, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, slowest ${at(0.9999)} ms; ` +
      `${String(ledger.created.size)} events, ${String(ledger.acknowledged.size)} acknowledged`,
  );
  t.strictSame(ledger.failures.slice(0, 10), [], `of ${String(ledger.failures.length)} failures`);
  t.ok(ledger.created.size > 0 && ledger.acknowledged.size > 0);
  t.strictSame(await compare(url, ledger), [], 'every event with a 201 is there once');
}

/** Two instances share its tables. */
async function environment(t: Test): Promise<Record<string, string>> {
  const emulator = await startEmulator();
  t.teardown(() => emulator.stop());
  const tables = freshTables();
  return {
    STORE: 'dynamodb',
    DYNAMODB_ENDPOINT_URL: emulator.endpoint,
    EVENTS_TABLE: tables.events,
    CLAIMS_TABLE: tables.claims,
    API_KEYS_TABLE: tables.keys,
    SHUTDOWN_GRACE_SECONDS: String(GRACE_SECONDS),
  };
}

/** A tenant with one page of 4.5 MB. @returns its key. */
async function fillPage(env: Record<string, string>, url: string): Promise<string> {
  const { key } = await createKey(spawnKeys, env, '--tenant', 'large');
  const agent = createAgent(url, 2);
  const body = JSON.stringify({ source: 's', event_type: 't', payload: { text: 'x'.repeat(45_000) } });
  const sent = Array.from({ length: PAGE_EVENTS }, () =>
    send(agent, { url, key }, { method: 'POST', path: '/v1/events', body }),
  );
  const refused = (await Promise.all(sent)).filter(({ status }) => status !== 201);
  if (refused.length > 0) throw new Error(`the page could not be filled: ${refused[0]?.body ?? ''}`);
  agent.destroy();
  return key;
}

/** Clients that keep connections to the balancer, and use them again only after a long time. */
function createSleepers(url: string) {
  const agent = createAgent(url);
  const all = async (method: 'GET' | 'POST', path: string, body?: string): Promise<string[]> => {
    const asking = Array.from({ length: SLEEPERS }, async () => {
      try {
        const request = { method, path, ...(body === undefined ? {} : { body }) };
        const { status } = await send(agent, { url, key: LOCAL_KEY }, request);
        return status < 300 ? [] : [String(status)];
      } catch (error) {
        return [String(error)];
      }
    });
    return (await Promise.all(asking)).flat();
  };
  return {
    open: () => all('GET', '/v1/health'),
    // With a filter that finds nothing, so that it is a request to the store but no event.
    use: () => all('GET', '/v1/inbox?source=nobody'),
  };
}

async function idle(t: Test, balancer: Balancer): Promise<void> {
  const instance: Instance = await startInstance(t, { DATA_DIR: t.testdir() });
  const relays = [await startRelay(t, instance.address), await startRelay(t, instance.address)] as const;
  const url = await balancer.start(t, [relays[0].address, relays[1].address]);
  const agent = createAgent(url);
  const ask = () => send(agent, { url, key: LOCAL_KEY }, { method: 'GET', path: '/v1/inbox' });
  for (let burst = 0; burst < 3; burst++) {
    const answers = await Promise.all(Array.from({ length: 20 }, ask));
    t.ok(answers.every(({ status }) => status === 200));
  }
  const open = (): number => relays[0].open() + relays[1].open();
  t.ok(open() > 1, `${String(open())} connections are kept`);
  const from = performance.now();
  await until(() => open() === 0 || relays.some(({ endedBy }) => endedBy.server > 0));
  const byService = relays[0].endedBy.server + relays[1].endedBy.server;
  const byBalancer = relays[0].endedBy.client + relays[1].endedBy.client;
  t.comment(
    `${String(byBalancer)} ended by ${balancer.name} within ${(performance.now() - from).toFixed(0)} ms`,
  );
  t.equal(byService, 0, 'ended by the service');
}

async function sentOnce(t: Test, balancer: Balancer): Promise<void> {
  const posts: string[] = [];
  const start = async (): Promise<string> => {
    const server = createServer((request, response) => {
      if (request.method !== 'POST') {
        response.end('{}');
        return;
      }
      request.resume().on('end', () => {
        posts.push(request.headers.host ?? '');
        request.socket.destroy();
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => {
      server.close();
      server.closeAllConnections();
    });
    return `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  };
  const url = await balancer.start(t, [await start(), await start()]);
  const agent = createAgent(url, 1);
  t.teardown(() => {
    agent.destroy();
  });
  const target = { url, key: LOCAL_KEY };
  for (const connection of ['new', 'used before']) {
    posts.length = 0;
    const outcome = await send(agent, target, {
      method: 'POST',
      path: '/v1/events',
      body: eventBody('once'),
    }).then(
      ({ status }) => status,
      (error: unknown) => (error as NodeJS.ErrnoException).code,
    );
    t.match(String(outcome), /^(?:502|ECONNRESET)$/, `the client learns it (${connection})`);
    t.equal(posts.length, 1, `sent on a connection that is ${connection}`);
    await send(agent, target, { method: 'GET', path: '/v1/health' });
  }
}
