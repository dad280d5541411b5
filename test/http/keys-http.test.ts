import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createKeyAuthenticator } from '../../src/access/key-authenticator.ts';
import { formatKey, generateKey } from '../../src/access/key-format.ts';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { createRateLimiter } from '../../src/access/rate-limiter.ts';
import { hashSecret } from '../../src/access/secret-hash.ts';
import { createSecretVerifier } from '../../src/access/secret-verifier.ts';
import { createClock } from '../../src/events/clock.ts';
import { createDispatch } from '../../src/http/dispatch.ts';
import { createServer } from '../../src/http/server.ts';
import { unversionedRoutes } from '../../src/http/unversioned/routes.ts';
import { v1Contract } from '../../src/http/v1/contract.ts';
import { READY_PATH, v1Routes } from '../../src/http/v1/routes.ts';
import { openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import type { EventStore } from '../../src/store/event-store.ts';
import { apiKey } from '../contracts/key-store-contract.ts';
import { createMemoryKeyStore } from '../support/memory-key-store.ts';
import { v1Error, type Answer, type Json, type TestApp } from '../support/app.ts';
import { startDescribedApp } from '../support/described.ts';
import { startDynalite } from '../../bench/harness/dynamodb.ts';
import { createKey, keysJson, runKeys, spawnKeys } from '../support/keys-cli.ts';
import { quietLog } from '../support/quiet-log.ts';
import { untoldWaiting } from '../support/waiting.ts';

const EVENT = { source: 's', event_type: 't', payload: { a: 1 } };
const MANY = '/v1/events/batch';
const UNKNOWN_ID = '00000000-0000-4000-8000-000000000000';

for (const store of ['embedded', 'dynamodb']) {
  void t.test(`a key works from its creation to its revocation, on the running ${store} store`, (t) =>
    keyLife(t, store),
  );
}

async function keyLife(t: Test, store: string): Promise<void> {
  const place: Record<string, string> =
    store === 'embedded'
      ? { DATA_DIR: t.testdir() }
      : { STORE: store, DYNAMODB_ENDPOINT_URL: await startDynalite(t) };
  const env = { ...place, API_KEY_CACHE_TTL_SECONDS: '1' };
  const app = await startDescribedApp(t, { ...env, AUTH_MODE: 'keys' });
  const status = async (key: string) => (await inbox(app, key)).status;

  const local = await inbox(app, LOCAL_KEY);
  t.equal(local.status, 401, 'the fixed key is of local mode');
  t.match(local.headers.get('www-authenticate'), /^Bearer /);
  const { key, keyId } = await createKey(spawnKeys, env);
  const wrongSecret = formatKey({ keyId, secret: generateKey().secret });
  t.equal(await status(key), 200);
  t.equal((await app.request('POST', '/v1/events', EVENT, { 'x-api-key': key })).status, 201);
  t.equal((await app.request('GET', '/v1/inbox', undefined, bearer(key))).status, 200);
  for (const bad of [wrongSecret, key.slice(0, -1), `${key}x`, formatKey(generateKey())]) {
    const refused = await inbox(app, bad);
    t.equal(refused.status, 401);
    t.equal(v1Error(refused).code, 'UNAUTHORIZED');
  }

  for (const command of ['revoke', 'deactivate']) {
    await keysJson(spawnKeys, env, command, keyId);
    t.equal(await within(1_500, () => status(key), 403), 403, command);
    t.equal(v1Error(await inbox(app, key)).code, 'FORBIDDEN');
    t.equal(await status(wrongSecret), 401, 'whatever the status of the key');
    await keysJson(spawnKeys, env, 'activate', keyId);
    t.equal(await within(1_500, () => status(key), 200), 200, 'and back');
  }
  await keysJson(spawnKeys, env, 'set-rate-limit', keyId, '777');
  const limit = async () => (await inbox(app, key)).headers.get('ratelimit-limit');
  t.equal(await within(1_500, limit, '777'), '777');

  const lastUse = async () =>
    ((await keysJson(spawnKeys, env, 'list'))['keys'] as Json[])[0]?.['last_used_at'];
  t.match(await lastUse(), /^\d{4}-.*Z$/, 'the last use is noted');
  const logged = JSON.stringify(app.logged);
  t.match(logged, `"key_id":"${keyId}"`);
  t.notMatch(logged, key.split('_')[2] ?? '');
}

void t.test('local mode takes stored keys beside the fixed one', async (t) => {
  const env = { DATA_DIR: t.testdir() };
  const { key } = await createKey(runKeys, env, '--tenant', 'acme');
  const app = await startDescribedApp(t, env);
  await app.send();
  t.equal(((await inbox(app, LOCAL_KEY)).json['events'] as unknown[]).length, 1);
  t.same((await inbox(app, key)).json['events'], [], 'another tenant');
});

void t.test('a tenant sees nothing of another by any route', async (t) => {
  const env = { DATA_DIR: t.testdir(), AUTH_MODE: 'keys' };
  const a = (await createKey(runKeys, env, '--tenant', 'a')).key;
  const b = (await createKey(runKeys, env, '--tenant', 'b')).key;
  const app = await startDescribedApp(t, env);
  const as: As = (key, method, path, body) =>
    app.request(method, path, body, { 'x-api-key': key, 'x-request-id': 'same' });
  const ids: string[] = [];
  for (let i = 0; i < 3; i++) ids.push(String((await as(a, 'POST', '/v1/events', EVENT)).json['event_id']));

  const tried = [
    ...(await tryEvents(t, as, b, ids[0] ?? '')),
    ...(await tryInboxes(t, as, a, b)),
    ...(await tryLeases(t, as, a, b)),
    ...(await tryEqualContent(t, as, a, b)),
  ];
  const mine = (await as(a, 'GET', '/v1/inbox')).json['events'] as Json[];
  t.equal(mine.length, 5, 'nothing that B did has touched what is A’s');
  t.same(
    mine.slice(0, 3).map((event) => event['event_id']),
    ids,
  );
  const services = { store: {} as EventStore, clock: createClock(), version: '' };
  const routes = [
    ...v1Routes({
      ...services,
      idempotencyTtl: 1,
      eventTtl: 1,
      draining: () => false,
      waiting: untoldWaiting,
    }),
    ...unversionedRoutes({ ...services, dedupWindow: 1 }),
  ];
  const guarded = routes.filter((route) => route.auth).map((route) => `${route.method} ${route.path}`);
  t.same(tried.toSorted(), guarded.toSorted(), 'that were all routes');
});

type As = (key: string, method: string, path: string, body?: unknown) => Promise<Answer>;

/** Each route of one event: an event of another is answered as one that does not exist. */
async function tryEvents(t: Test, as: As, b: string, id: string): Promise<string[]> {
  const routes = [
    ['GET', '/v1/events/{event_id}'],
    ['POST', '/v1/events/{event_id}/ack'],
    ['DELETE', '/v1/events/{event_id}'],
    ['GET', '/events/{event_id}'],
    ['DELETE', '/events/{event_id}'],
  ] as const;
  for (const [method, path] of routes) {
    const theirs = await as(b, method, path.replace('{event_id}', id));
    const nobodys = await as(b, method, path.replace('{event_id}', UNKNOWN_ID));
    t.same(plain(theirs, id), plain(nobodys, UNKNOWN_ID), `${method} ${path}`);
  }
  const theirs = await as(b, 'POST', '/v1/events/ack', { event_ids: [id] });
  const nobodys = await as(b, 'POST', '/v1/events/ack', { event_ids: [UNKNOWN_ID] });
  t.same(plain(theirs, id), plain(nobodys, UNKNOWN_ID), 'POST /v1/events/ack');
  return [...routes.map((route) => route.join(' ')), 'POST /v1/events/ack'];
}

/** Neither events nor their number, nor by a cursor of the other. */
async function tryInboxes(t: Test, as: As, a: string, b: string): Promise<string[]> {
  for (const path of ['/v1/inbox', '/inbox']) {
    const empty = await as(b, 'GET', path);
    t.same(empty.json['events'], []);
    if (path === '/inbox') t.equal((empty.json['pagination'] as Json)['total_undelivered'], 0);
    const page = await as(a, 'GET', `${path}?limit=1`);
    const cursor = String((page.json['pagination'] as Json)['next_cursor']);
    const replayed = await as(b, 'GET', `${path}?cursor=${cursor}`);
    const altered = await as(b, 'GET', `${path}?cursor=${cursor.slice(0, -4)}`);
    t.equal(replayed.status, 400);
    t.same(plain(replayed, cursor), plain(altered, cursor), 'a foreign cursor is a bad one');
  }
  return ['GET /v1/inbox', 'GET /inbox'];
}

/** Neither leases, nor what is in quarantine, nor with a token of the other. Leaves the inbox of A as it was. */
async function tryLeases(t: Test, as: As, a: string, b: string): Promise<string[]> {
  await as(a, 'POST', '/v1/events', { ...EVENT, event_type: 'leased' });
  const none = await as(b, 'POST', '/v1/inbox/lease', {});
  t.match(none.json, { events: [], backlog: { empty: true, pending: 0 } });
  const answer = await as(a, 'POST', '/v1/inbox/lease', { event_type: 'leased' });
  const [leased] = answer.json['events'] as { event_id: string; lease: { token: string } }[];
  const [id, token] = [leased?.event_id ?? '', leased?.lease.token ?? ''];
  const settle = (key: string) => as(key, 'POST', '/v1/inbox/settle', { reject: [{ token }] });
  t.match((await settle(b)).json, { summary: { lease_malformed: 1 } });
  t.match((await settle(a)).json, { summary: { quarantined: 1 } });
  t.match((await as(b, 'GET', '/v1/quarantine')).json, { events: [] });
  t.match((await as(a, 'GET', '/v1/quarantine')).json, { events: [{ event_id: id }] });
  const redrive = (event_ids: string[]) => as(b, 'POST', '/v1/quarantine/redrive', { event_ids });
  const [theirs, nobodys] = [await redrive([id]), await redrive([UNKNOWN_ID])];
  t.same(plain(theirs, id), plain(nobodys, UNKNOWN_ID), 'POST /v1/quarantine/redrive');
  t.equal((await as(a, 'POST', `/v1/events/${id}/ack`)).status, 200);
  return [
    'POST /v1/inbox/lease',
    'POST /v1/inbox/settle',
    'GET /v1/quarantine',
    'POST /v1/quarantine/redrive',
  ];
}

/** Equal content of two tenants, by key or by itself, is two events. */
async function tryEqualContent(t: Test, as: As, a: string, b: string): Promise<string[]> {
  for (const [path, body] of [
    ['/v1/events', { ...EVENT, metadata: { idempotency_key: 'the same' } }],
    ['/events', EVENT],
  ] as const) {
    const first = await as(a, 'POST', path, body);
    const own = await as(b, 'POST', path, body);
    t.equal(own.status, first.status);
    t.not(own.json['event_id'], first.json['event_id'], path);
    t.equal(own.headers.get('idempotent-replayed'), null);
    t.not(own.json['deduplicated'], true);
    t.equal((await as(b, 'GET', `/v1/events/${String(first.json['event_id'])}`)).status, 404);
  }
  const batch = { events: [{ ...EVENT, metadata: { idempotency_key: 'the same' } }] };
  const [first, own] = [await as(a, 'POST', MANY, batch), await as(b, 'POST', MANY, batch)];
  t.match([first.json, own.json], [{ summary: { duplicate: 1 } }, { summary: { duplicate: 1 } }]);
  t.notMatch(own.text, /"event_id":"([^"]+)"/.exec(first.text)?.[1] ?? '');
  return ['POST /v1/events', 'POST /events', `POST ${MANY}`];
}

void t.test('over its limit a key is told when to come back; other keys are not touched', async (t) => {
  const { request, keys, calls } = await startCounting(t);
  const [small, other] = [await keys.make({ rateLimit: 3 }), await keys.make({ rateLimit: 1000 })];
  const statuses = [];
  for (const path of ['/v1/inbox', `/v1/events/${UNKNOWN_ID}`, '/v1/inbox?limit=0']) {
    const answer = await request(small, 'GET', path);
    statuses.push(answer.status);
    t.equal(answer.headers.get('ratelimit-limit'), '3', 'on every reply');
    t.equal(answer.headers.get('ratelimit-remaining'), String(3 - statuses.length));
    t.match(answer.headers.get('ratelimit-reset'), /^(60|59|5\d)$/);
  }
  t.same(statuses, [200, 404, 400]);

  const before = { ...calls, keys: { ...keys.store.calls } };
  for (let i = 0; i < 20; i++) {
    const refused = await request(small, 'POST', '/v1/events', EVENT);
    t.equal(refused.status, 429);
    const error = (refused.json['error'] ?? {}) as Json;
    t.equal(error['code'], 'RATE_LIMITED');
    t.match(error['message'], /3 requests a minute; try again in \d+ s/);
    t.equal(refused.headers.get('ratelimit-remaining'), '0');
    const after = Number(refused.headers.get('retry-after'));
    t.ok(after >= 1 && after <= 60);
    t.equal(refused.headers.get('ratelimit-reset'), String(after));
  }
  t.same({ ...calls, keys: keys.store.calls }, before, 'a refused request costs no store call');
  t.equal((await request(other, 'POST', '/v1/events', EVENT)).status, 201);
  t.equal((await request(other, 'GET', '/v1/inbox')).headers.get('ratelimit-remaining'), '998');
  const health = await request(small, 'GET', '/v1/health');
  t.equal(health.status, 200);
  t.equal(health.headers.get('ratelimit-limit'), null, 'a route without a key has no limit');
});

void t.test('a call for many events counts as many requests', async (t) => {
  const { request, keys, calls } = await startCounting(t);
  const key = await keys.make({ rateLimit: 10 });
  const send = (count: number) =>
    request(key, 'POST', '/v1/events/batch', { events: Array.from({ length: count }, () => EVENT) });
  const first = await send(6);
  t.equal(first.status, 200);
  t.equal(first.headers.get('ratelimit-remaining'), '4');
  const before = { ...calls };
  const over = await send(5);
  t.equal(over.status, 429);
  t.ok(Number(over.headers.get('retry-after')) >= 1);
  t.same(calls, before, 'nothing was looked at');
  const left = over.headers.get('ratelimit-remaining');
  t.equal((await send(Number(left))).status, 200, 'what is left can be used');
  const other = await keys.make({ rateLimit: 10 });
  const never = await request(other, 'POST', '/v1/events/batch', {
    events: Array.from({ length: 11 }, () => EVENT),
  });
  t.equal(never.status, 400, 'waiting would not help');
  t.match(never.json, { error: { message: /11 items, but this API key may send 10 a minute/ } });
  const ids = Array.from({ length: 9 }, () => randomUUID());
  t.equal((await request(other, 'POST', '/v1/events/ack', { event_ids: ids })).status, 207);
  t.equal((await request(other, 'GET', '/v1/inbox')).status, 429);
});

void t.test('while keys cannot be looked up a known key works and an unknown one gets 503', async (t) => {
  const { request, keys } = await startCounting(t);
  const [known, unknown] = [await keys.make(), await keys.make()];
  t.equal((await request(known, 'GET', '/v1/inbox')).status, 200);
  keys.store.down = true;
  t.equal((await request(known, 'POST', '/v1/events', EVENT)).status, 201);
  const refused = await request(unknown, 'POST', '/v1/events', EVENT);
  t.equal(refused.status, 503);
  t.equal(refused.headers.get('retry-after'), '1');
  t.equal((await request('trg_mistyped', 'GET', '/v1/inbox')).status, 401, 'what is no key needs no look-up');
});

/** A server with its store calls counted, and keys in a store that can be down. */
async function startCounting(t: Test) {
  const calls: Record<string, number> = {};
  const real = await openEmbeddedStore({
    path: t.testdir(),
    now: () => Date.now() * 1000,
    eventTtl: 1e12,
    log: quietLog,
    onFatal: (error) => t.fail(error),
  });
  const store = new Proxy<EventStore>(real, {
    get(target, name: keyof EventStore) {
      calls[name] = (calls[name] ?? 0) + 1;
      return Reflect.get(target, name) as unknown;
    },
  });
  const keyStore = createMemoryKeyStore();
  const verifier = createSecretVerifier();
  const contract = v1Contract({
    store,
    clock: createClock(),
    version: '',
    idempotencyTtl: 1e12,
    eventTtl: 1e12,
    draining: () => false,
    waiting: untoldWaiting,
  });
  const authenticator = createKeyAuthenticator({
    keys: keyStore,
    verifier,
    onBackgroundError: (error) => t.fail(error as Error),
  });
  const server = createServer({
    dispatch: createDispatch([contract], { authenticator, rateLimiter: createRateLimiter() }),
    corsOrigins: [],
    readyPath: READY_PATH,
    tls: null,
    onRequest: () => undefined,
    onResponse: () => undefined,
  });
  const url = `http://127.0.0.1:${String(await server.listen('127.0.0.1', 0))}`;
  t.teardown(async () => {
    await server.drain(0);
    await verifier.close();
    await real.close();
  });
  return {
    calls,
    keys: {
      store: keyStore,
      async make(overrides: Parameters<typeof apiKey>[0] = {}): Promise<string> {
        const parts = generateKey();
        await keyStore.create(apiKey({ keyId: parts.keyId, hash: hashSecret(parts.secret), ...overrides }));
        return formatKey(parts);
      },
    },
    request: async (key: string, method: string, path: string, body?: unknown) => {
      const response = await fetch(url + path, {
        method,
        headers: { 'x-api-key': key, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, headers: response.headers, json: (await response.json()) as Json };
    },
  };
}

function inbox(app: TestApp, key: string): Promise<Answer> {
  return app.request('GET', '/v1/inbox', undefined, { 'x-api-key': key });
}

function bearer(key: string): Record<string, string> {
  return { authorization: `Bearer ${key}`, 'x-api-key': key };
}

/** Asks until the answer is `wanted`, for at most so long. */
async function within<T>(ms: number, ask: () => Promise<T>, wanted: T): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    const answer = await ask();
    if (answer === wanted || performance.now() > end) return answer;
    await sleep(20);
  }
}

/** An answer without what names one id, and without what counts requests or time. */
function plain({ status, headers, text }: Answer, id: string): unknown {
  const kept = [...headers].filter(
    ([name]) => !['date', 'ratelimit-remaining', 'ratelimit-reset', 'server-timing'].includes(name),
  );
  return { status, headers: kept, text: text.replaceAll(id, '<id>') };
}
