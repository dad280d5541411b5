import type { Test } from 'tap';
import t from 'tap';
import { createLocalAuthenticator, LOCAL_KEY } from '../../src/access/local.ts';
import type { Authenticator } from '../../src/access/authenticator.ts';
import { createRateLimiter } from '../../src/access/rate-limiter.ts';
import { createDispatch } from '../../src/http/dispatch.ts';
import type { Exchange } from '../../src/http/exchange.ts';
import { createServer } from '../../src/http/server.ts';
import { v1Contract } from '../../src/http/v1/contract.ts';
import type { RequestHead } from '../../src/http/head.ts';
import { READY_PATH, v1Routes } from '../../src/http/v1/routes.ts';
import { openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import {
  CorruptEventError,
  StoreOverloadedError,
  StoreUnavailableError,
} from '../../src/store/store-errors.ts';
import type { Appended, EventStore } from '../../src/store/event-store.ts';
import type { Json } from '../support/app.ts';
import { quietLog } from '../support/quiet-log.ts';
import { v1Services } from '../support/v1-services.ts';

const ID = '00000000-0000-4000-8000-000000000000';
const EVENT = '{"source":"s","event_type":"t","payload":{}}';

interface Started {
  /** Every exchange that has ended. */
  readonly ended: Exchange[];
  request(
    method: string,
    path: string,
    body?: string,
  ): Promise<{ status: number; headers: Headers; json: Json }>;
}

/** The `/v1` contract on a real store of which some methods are replaced. */
async function start(
  t: Test,
  broken: Partial<EventStore>,
  authenticator: Authenticator = createLocalAuthenticator({ authenticate: () => 'unauthorized' }),
): Promise<Started> {
  const store = await openEmbeddedStore({
    path: t.testdir(),
    now: () => Date.now() * 1000,
    eventTtl: 1e12,
    log: quietLog,
    onFatal: () => undefined,
  });
  const ended: Exchange[] = [];
  const contract = v1Contract({
    store: { ...store, ...broken },
    ...v1Services,
  });
  const server = createServer({
    dispatch: createDispatch([contract], { authenticator, rateLimiter: createRateLimiter() }),
    corsOrigins: [],
    readyPath: READY_PATH,
    tls: null,
    onRequest: () => undefined,
    onResponse: (exchange) => ended.push(exchange),
  });
  const url = `http://127.0.0.1:${String(await server.listen('127.0.0.1', 0))}`;
  t.teardown(async () => {
    await server.drain(0);
    await store.close();
  });
  return {
    ended,
    async request(method, path, body) {
      const response = await fetch(url + path, {
        method,
        headers: { 'x-api-key': LOCAL_KEY, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body }),
      });
      return { status: response.status, headers: response.headers, json: (await response.json()) as Json };
    },
  };
}

const ROUTES = [
  ['POST', '/v1/events', EVENT],
  ['GET', `/v1/events/${ID}`, undefined],
  ['GET', '/v1/inbox', undefined],
  ['POST', `/v1/events/${ID}/ack`, undefined],
  ['DELETE', `/v1/events/${ID}`, undefined],
  ['GET', '/v1/ready', undefined],
] as const;

/** Where a 503 says that nothing was done. */
const MANY_ROUTES = [
  ['POST', '/v1/events/batch', `{"events":[${EVENT}]}`],
  ['POST', '/v1/events/ack', `{"event_ids":["${ID}"]}`],
] as const;

function everyMethod(behave: () => Promise<never>): Partial<EventStore> {
  return {
    append: behave,
    get: behave,
    listPending: behave,
    acknowledge: behave,
    remove: behave,
    appendMany: behave,
    acknowledgeMany: behave,
    ping: behave,
  };
}

void t.test('a store that cannot be reached or has too much to do is 503 with Retry-After', async (t) => {
  for (const error of [
    new StoreUnavailableError('host db-7 is down'),
    new StoreOverloadedError('queue full'),
  ]) {
    const app = await start(
      t,
      everyMethod(() => Promise.reject(error)),
    );
    for (const [method, path, body] of [...ROUTES, ...MANY_ROUTES]) {
      const answer = await app.request(method, path, body);
      t.equal(answer.status, 503, `${method} ${path}`);
      t.equal(answer.headers.get('retry-after'), '1');
      t.match(answer.json, { error: { code: 'SERVICE_UNAVAILABLE' } });
      t.notMatch(JSON.stringify(answer.json), error.message, 'what is inside stays inside');
      t.equal(app.ended.at(-1)?.cause, error, 'and goes into the log');
    }
    t.equal((await app.request('GET', '/v1/health')).status, 200);
  }
});

void t.test('a store that never answers is 503 within 2 s', async (t) => {
  const app = await start(
    t,
    everyMethod(() => new Promise<never>(() => undefined)),
  );
  const before = performance.now();
  const answers = await Promise.all(ROUTES.map(([method, path, body]) => app.request(method, path, body)));
  const seconds = (performance.now() - before) / 1000;
  for (const answer of answers) {
    t.equal(answer.status, 503);
    t.equal(answer.headers.get('retry-after'), '1');
  }
  t.ok(seconds > 1 && seconds < 10, `${seconds.toFixed(2)} s: the deadline, on a busy machine too`);
  t.equal((await app.request('GET', '/v1/health')).status, 200);
});

void t.test('what a store that never answers has done with many events is said of each', async (t) => {
  const app = await start(
    t,
    everyMethod(() => new Promise<never>(() => undefined)),
  );
  const answers = await Promise.all(
    MANY_ROUTES.map(([method, path, body]) => app.request(method, path, body)),
  );
  for (const answer of answers) {
    t.equal(answer.status, 207);
    t.match(answer.json, {
      results: [{ outcome: 'failed', error: { code: 'SERVICE_UNAVAILABLE' }, retryable: true }],
      summary: { failed: 1 },
    });
  }
});

void t.test('a store may say of each of many events how it went', async (t) => {
  const error = new StoreUnavailableError('host db-7 is down');
  const damaged = new CorruptEventError('record 7 of tenant acme');
  const app = await start(t, {
    appendMany: () => Promise.resolve([{ outcome: 'failed', error }]),
    acknowledgeMany: () => Promise.resolve([{ outcome: 'failed', error: damaged }]),
  });
  const [sent, acknowledged] = await Promise.all(
    MANY_ROUTES.map(([method, path, body]) => app.request(method, path, body)),
  );
  t.equal(sent?.status, 207);
  t.match(sent?.json['results'], [{ error: { code: 'SERVICE_UNAVAILABLE' }, retryable: true }]);
  t.match(acknowledged?.json['results'], [{ error: { code: 'INTERNAL_ERROR' }, retryable: false }]);
  t.notMatch(JSON.stringify([sent?.json, acknowledged?.json]), /db-7|record 7/);
});

void t.test('nothing is stored for a client that has its 503 already', async (t) => {
  let asked = false;
  const routes = v1Routes({
    store: { appendMany: () => ((asked = true), Promise.resolve([])) } as unknown as EventStore,
    ...v1Services,
  });
  const batch = routes.find(({ path }) => path === '/v1/events/batch');
  const handled = batch?.handle({
    ...{
      requestId: 'r',
      head: {} as RequestHead,
      principal: { keyId: 'k', tenant: 'acme', rateLimit: null },
    },
    ...{ params: undefined, query: undefined, body: undefined, bodyText: `{"events":[${EVENT}]}` },
    control: { charge: () => undefined, prolong: () => false, hold: () => false, holds: false },
  });
  await t.rejects(Promise.resolve(handled), { code: 'SERVICE_UNAVAILABLE' });
  t.notOk(asked);
});

void t.test('an answer that comes after its deadline goes nowhere', async (t) => {
  let answer: (() => void) | undefined;
  const late = new Promise<Appended>((resolve) => {
    answer = () => {
      resolve({ outcome: 'stored' });
    };
  });
  const app = await start(t, { append: () => late });
  t.equal((await app.request('POST', '/v1/events', EVENT)).status, 503);
  answer?.();
  await late;
  t.equal((await app.request('GET', '/v1/inbox')).status, 200);
  t.equal(app.ended.filter(({ status }) => status === 201).length, 0);
});

void t.test('what is unexpected is 500 with the request id and without what happened', async (t) => {
  for (const error of [new TypeError('secret internals'), new CorruptEventError('record 7 of tenant acme')]) {
    const app = await start(
      t,
      everyMethod(() => Promise.reject(error)),
    );
    for (const [method, path, body] of [...ROUTES, ...MANY_ROUTES]) {
      const { status, headers, json } = await app.request(method, path, body);
      t.equal(status, 500, `${method} ${path}`);
      t.match(json, {
        error: { code: 'INTERNAL_ERROR', details: null, request_id: headers.get('x-request-id') },
      });
      t.notMatch(JSON.stringify(json), error.message);
      t.equal(app.ended.at(-1)?.cause, error);
    }
  }
  const thrown = await start(t, {
    get: () => {
      throw new Error('not even a promise');
    },
  });
  t.equal((await thrown.request('GET', `/v1/events/${ID}`)).status, 500);
});

void t.test('a key that has to be looked up is waited for, while the body comes in', async (t) => {
  const answers = {
    good: { keyId: 'k', tenant: 'acme', rateLimit: null },
    unknown: 'unauthorized',
    revoked: 'forbidden',
  } as const;
  for (const [name, status] of [
    ['good', 201],
    ['unknown', 401],
    ['revoked', 403],
  ] as const) {
    const app = await start(
      t,
      {},
      { authenticate: () => new Promise((resolve) => setImmediate(resolve, answers[name])) },
    );
    t.equal((await app.request('POST', '/v1/events', EVENT)).status, status, name);
    t.equal((await app.request('GET', `/v1/events/${ID}`)).status, name === 'good' ? 404 : status);
    const large = `{"source":"s","event_type":"t","payload":{"x":"${'x'.repeat(300_000)}"}}`;
    t.equal((await app.request('POST', '/v1/events', large)).status, status);
    t.equal(
      (await app.request('POST', '/v1/events', 'x'.repeat(600_000))).status,
      name === 'good' ? 413 : status,
    );
  }
  const down = await start(t, {}, { authenticate: () => Promise.reject(new StoreUnavailableError('down')) });
  t.equal((await down.request('POST', '/v1/events', EVENT)).status, 503, 'not knowing is not refusing');
});
