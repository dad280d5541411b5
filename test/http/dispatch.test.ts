import { performance } from 'node:perf_hooks';
import type { Test } from 'tap';
import t from 'tap';
import Type from 'typebox';
import { createLocalAuthenticator, LOCAL_KEY } from '../../src/access/local.ts';
import { createRateLimiter } from '../../src/access/rate-limiter.ts';
import { createClock } from '../../src/events/clock.ts';
import type { Dispatch } from '../../src/http/dispatch.ts';
import { createDispatch, REPLY_DEADLINE_MS } from '../../src/http/dispatch.ts';
import { readHead } from '../../src/http/head.ts';
import type { Contract } from '../../src/http/route.ts';
import { route } from '../../src/http/route.ts';
import { unversionedContract } from '../../src/http/unversioned/contract.ts';
import { v1Contract } from '../../src/http/v1/contract.ts';
import { openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import type { Json } from '../support/app.ts';
import { quietLog } from '../support/quiet-log.ts';
import { untoldWaiting } from '../support/waiting.ts';
import { v1Services } from '../support/v1-services.ts';

const access = {
  authenticator: createLocalAuthenticator({ authenticate: () => 'unauthorized' }),
  rateLimiter: createRateLimiter(),
};

/** Both contracts on a real store, and no server. */
async function dispatchOnStore(t: Test): Promise<Dispatch> {
  const store = await openEmbeddedStore({
    path: t.testdir(),
    now: () => Date.now() * 1000,
    eventTtl: 1e12,
    log: quietLog,
    onFatal: (error) => t.fail(error),
  });
  t.teardown(() => store.close());
  const services = { store, clock: createClock(), version: '0' };
  return createDispatch(
    [
      v1Contract({
        ...services,
        idempotencyTtl: 1e12,
        eventTtl: 1e12,
        draining: () => false,
        waiting: untoldWaiting,
      }),
      unversionedContract({ ...services, dedupWindow: 1e9 }),
    ],
    access,
  );
}

interface Given {
  readonly body?: string;
  readonly headers?: readonly (readonly [name: string, value: string])[];
}

async function ask(dispatch: Dispatch, method: string, target: string, { body = '', headers }: Given = {}) {
  const [path = '', rawQuery = ''] = target.split('?');
  const all = headers ?? [['x-api-key', LOCAL_KEY]];
  const head = readHead({
    forEach(callback) {
      for (const [name, value] of all) callback(name, value);
    },
  });
  const startedAt = performance.now();
  const call = {
    method,
    path,
    rawQuery,
    head,
    startedAt,
    principal: undefined,
    authMs: undefined,
    handledAt: undefined,
    extraHeaders: [],
    replyBy: undefined,
    open: true,
  };
  const reply = await dispatch.answer(call, Buffer.from(body));
  return {
    status: reply.status,
    json: (reply.body === null ? {} : JSON.parse(reply.body.toString())) as Json,
    headers: new Headers((reply.headers ?? []).map(([name, value]): [string, string] => [name, value])),
    cause: reply.cause,
  };
}

void t.test('a whole life of an event, without a socket', async (t) => {
  const dispatch = await dispatchOnStore(t);
  const event = '{"source":"s","event_type":"t","payload":{"n":1.10}}';
  const created = await ask(dispatch, 'POST', '/v1/events', { body: event });
  t.equal(created.status, 201);
  const id = String(created.json['event_id']);
  t.equal(created.headers.get('location'), `/v1/events/${id}`);
  t.equal(created.headers.get('x-request-id'), created.json['request_id']);
  t.equal(created.headers.get('content-type'), 'application/json; charset=utf-8');
  const page = await ask(dispatch, 'GET', '/v1/inbox?limit=1');
  t.match(page.json, { events: [{ event_id: id }], pagination: { limit: 1 } });
  t.equal((await ask(dispatch, 'POST', `/v1/events/${id.toUpperCase()}/ack`)).status, 200);
  t.equal((await ask(dispatch, 'DELETE', `/events/${id}`)).status, 204);
  t.equal((await ask(dispatch, 'DELETE', `/v1/events/${id}`)).status, 200);
  t.equal((await ask(dispatch, 'GET', `/v1/events/${id}`)).status, 404);
});

void t.test('what is refused has the form of the contract whose path it is', async (t) => {
  const dispatch = await dispatchOnStore(t);
  const status = async (method: string, target: string, given?: Given) => {
    const { status, json } = await ask(dispatch, method, target, given);
    return [status, 'error' in json ? 'v1' : 'error_code' in json ? 'unversioned' : 'none'];
  };
  const twice: Given = { headers: [...Array<['x-api-key', string]>(2)].map(() => ['x-api-key', LOCAL_KEY]) };
  for (const [contract, prefix] of [
    ['v1', '/v1'],
    ['unversioned', ''],
  ] as const) {
    t.same(await status('GET', `${prefix}/nothing`), [404, contract]);
    t.same(await status('GET', `${prefix}/events//`), [404, contract]);
    t.same(await status('PUT', `${prefix}/inbox`), [405, contract]);
    t.same(await status('GET', `${prefix}/inbox`, { headers: [] }), [401, contract]);
    t.same(await status('GET', `${prefix}/inbox`, twice), [400, contract]);
    t.same(await status('GET', `${prefix}/inbox?limit=x`), [400, contract]);
    t.same(await status('POST', `${prefix}/events`, { body: '{' }), [400, contract]);
    t.same(await status('POST', `${prefix}/events`, { body: ' '.repeat(600_000) }), [413, contract]);
    t.same(
      await status('POST', `${prefix}/events`, {
        body: '{}',
        headers: [
          ['x-api-key', LOCAL_KEY],
          ['content-type', 'text/plain'],
        ],
      }),
      [415, contract],
    );
    t.same(await status('GET', `${prefix}/events/%zz`), [400, contract], 'bad percent-encoding');
  }
  t.same(await status('GET', '/v1'), [404, 'v1']);
  t.same(await status('GET', '/v10/events'), [404, 'unversioned'], 'a prefix is of whole segments');
  t.same(await status('OPTIONS', '*'), [404, 'unversioned']);
  t.same(await status('GET', '/v1/events/x'), [422, 'v1']);
  t.same(await status('GET', '/events/x'), [400, 'unversioned']);
  t.equal((await ask(dispatch, 'PUT', '/v1/health')).headers.get('allow'), 'GET, HEAD');
  t.equal((await ask(dispatch, 'HEAD', '/v1/health')).status, 200);
  t.same(await status('HEAD', '/v1/inbox'), [405, 'none'], 'HEAD has no body');
});

void t.test('parameters of a path are whole segments, in their order', async (t) => {
  const pair: Contract = {
    prefix: '',
    about: {} as Contract['about'],
    statuses: {} as Contract['statuses'],
    errorBody: (error) => JSON.stringify({ error: error.message }),
    invalidParams: (details) => new Error(JSON.stringify(details)) as never,
    routes: [
      route({
        method: 'GET',
        path: '/a/{x}/b/{y}',
        operationId: 'pair',
        summary: '',
        description: '',
        auth: false,
        params: Type.Object({ x: Type.String(), y: Type.String() }),
        responses: {},
        handle: ({ params }) => ({ status: 200, body: JSON.stringify(params) }),
      }),
    ],
  };
  const dispatch = createDispatch([pair], access);
  t.same((await ask(dispatch, 'GET', '/a/1/b/%32')).json, { x: '1', y: '2' });
  t.equal(dispatch.find('GET', '/a/1/b/').endpoint.path, 'unknown', 'an empty one is none');
  t.equal(dispatch.find('GET', '/a/1/c/2').endpoint.path, 'unknown');
  t.equal(dispatch.find('GET', '/a/1/b/2').endpoint.path, '/a/{x}/b/{y}');
});

void t.test('an unexpected error is a 500 that tells nothing, with its cause beside it', async (t) => {
  const problem = new Error('the password is swordfish');
  const services = {
    store: { get: () => Promise.reject(problem) } as never,
    ...v1Services,
  };
  const dispatch = createDispatch([v1Contract(services)], access);
  const answer = await ask(dispatch, 'GET', '/v1/events/00000000-0000-4000-8000-000000000000');
  t.equal(answer.status, 500);
  t.notMatch(JSON.stringify(answer.json), 'swordfish');
  t.equal(answer.cause, problem);
});

void t.test('a store that does not answer in time is a 503, in the form of the contract', async (t) => {
  const services = {
    store: { get: () => new Promise(() => undefined) } as never,
    ...v1Services,
  };
  const dispatch = createDispatch([v1Contract(services)], access);
  const startedAt = performance.now();
  const answer = await ask(dispatch, 'GET', '/v1/events/00000000-0000-4000-8000-000000000000');
  t.match(answer, { status: 503, json: { error: { code: 'SERVICE_UNAVAILABLE' } } });
  t.ok(answer.headers.get('retry-after'));
  t.ok(performance.now() - startedAt >= REPLY_DEADLINE_MS - 1);
});

void t.test('HEAD gets the length of the body that GET gets', async (t) => {
  const dispatch = await dispatchOnStore(t);
  const head = await ask(dispatch, 'HEAD', '/v1/health');
  const { json } = await ask(dispatch, 'GET', '/v1/health');
  t.equal(head.headers.get('content-length'), String(JSON.stringify(json).length));
});

void t.test('without a socket nothing waits', async (t) => {
  const dispatch = await dispatchOnStore(t);
  const startedAt = performance.now();
  const answer = await ask(dispatch, 'GET', '/v1/inbox?wait_seconds=20');
  t.match(answer, { status: 200, json: { events: [] } });
  t.ok(performance.now() - startedAt < 10_000, 'a function on Lambda is paid for its time');
});
