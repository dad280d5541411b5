import t from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { sendRaw } from '../support/raw.ts';

const PAGE = 'https://app.example';
const EVENT = { source: 's', event_type: 't', payload: {} };
const ASK = {
  origin: PAGE,
  'access-control-request-method': 'POST',
  'access-control-request-headers': 'content-type,idempotency-key,x-api-key',
};

const isCors = (name: string): boolean =>
  name.startsWith('access-control-') || name === 'timing-allow-origin' || name === 'vary';

/** Sends a request and gives the status and the headers that are about CORS. */
async function ask(
  app: TestApp,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: unknown,
) {
  const answer = await app.request(method, path, body, headers);
  const cors = Object.fromEntries([...answer.headers].filter(([name]) => isCors(name)));
  return { status: answer.status, cors, headers: answer.headers, text: answer.text };
}

void t.test('without origins nothing is said of CORS', async (t) => {
  const app = await startTestApp(t);
  t.strictSame((await ask(app, 'GET', '/v1/inbox', { origin: PAGE })).cors, {});
  const { status, cors, headers } = await ask(app, 'OPTIONS', '/v1/events', ASK);
  t.strictSame(cors, {});
  t.equal(status, 405);
  t.equal(headers.get('allow'), 'POST');
});

void t.test('a preflight is answered without a key, at every path', async (t) => {
  const app = await startTestApp(t, { CORS_ORIGINS: `https://other.example,${PAGE}` });
  for (const path of ['/v1/events', '/v1/events/x/ack', '/events', '/nowhere']) {
    const { status, cors, text } = await ask(app, 'OPTIONS', path, { ...ASK, 'x-api-key': '' });
    t.equal(status, 204);
    t.equal(text, '');
    t.match(cors, {
      'access-control-allow-origin': PAGE,
      vary: 'Origin',
      'access-control-allow-methods': 'GET, HEAD, POST, DELETE',
      'access-control-max-age': '7200',
    });
    const allowed = String(cors['access-control-allow-headers']).toLowerCase().split(', ');
    for (const name of [
      'authorization',
      'content-type',
      'idempotency-key',
      'traceparent',
      'x-api-key',
      'x-request-id',
    ]) {
      t.ok(allowed.includes(name), name);
    }
  }
  t.ok(app.logged.some((line) => line['method'] === 'OPTIONS' && line['status'] === 204));
});

void t.test('every reply to an allowed origin can be read, errors too', async (t) => {
  const app = await startTestApp(t, { CORS_ORIGINS: PAGE });
  const exposed =
    'Allow, ETag, Idempotent-Replayed, Location, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, Server-Timing, X-Request-ID';
  for (const [method, path, body, headers, expected] of [
    ['POST', '/v1/events', EVENT, {}, 201],
    ['POST', '/events', EVENT, {}, 200],
    ['POST', '/v1/events', 'x'.repeat(600_000), {}, 413],
    ['POST', '/v1/events', '{', {}, 400],
    ['POST', '/v1/events', EVENT, { 'content-type': 'text/plain' }, 415],
    ['GET', '/v1/inbox', undefined, {}, 200],
    ['GET', '/v1/inbox', undefined, { 'x-api-key': 'wrong' }, 401],
    ['GET', '/v1/events/x', undefined, {}, 422],
    ['HEAD', '/v1/health', undefined, {}, 200],
    ['PUT', '/v1/events', undefined, {}, 405],
    ['OPTIONS', '/v1/events', undefined, {}, 405],
    ['GET', '/v1/nowhere', undefined, {}, 404],
  ] as const) {
    const { status, cors } = await ask(app, method, path, { origin: PAGE, ...headers }, body);
    t.equal(status, expected, `${method} ${path}`);
    t.strictSame(cors, {
      'access-control-allow-origin': PAGE,
      'access-control-expose-headers': exposed,
      'timing-allow-origin': PAGE,
      vary: 'Origin',
    });
  }
  const twice = `GET /v1/inbox HTTP/1.1\r\nHost: x\r\nOrigin: ${PAGE}\r\nX-API-Key: ${LOCAL_KEY}\r\nX-API-Key: b\r\n\r\n`;
  t.match(
    (await sendRaw(app.url, [twice])).text,
    /^HTTP\/1.1 400[^]*access-control-allow-origin: https:\/\/app/i,
  );
});

void t.test('other origins get nothing, and no cache takes that for an answer to all', async (t) => {
  const app = await startTestApp(t, { CORS_ORIGINS: PAGE });
  for (const origin of [
    'https://app.example.evil',
    'http://app.example',
    'https://app.example:8443',
    'null',
    '*',
  ]) {
    t.strictSame((await ask(app, 'GET', '/v1/inbox', { origin })).cors, { vary: 'Origin' }, origin);
    const { status, cors } = await ask(app, 'OPTIONS', '/v1/events', { ...ASK, origin });
    t.equal(status, 405);
    t.strictSame(cors, { vary: 'Origin' });
  }
  t.strictSame((await ask(app, 'GET', '/v1/inbox', {})).cors, { vary: 'Origin' }, 'no browser');
});

void t.test('all origins, without credentials', async (t) => {
  const app = await startTestApp(t, { CORS_ORIGINS: '*', ALLOW_PUBLIC_TEST_KEY: 'true' });
  const { status, cors } = await ask(app, 'OPTIONS', '/v1/events', { ...ASK, origin: 'https://any.example' });
  t.equal(status, 204);
  t.equal(cors['access-control-allow-origin'], '*');
  t.equal(cors['access-control-allow-credentials'], undefined);
  const reply = await ask(app, 'GET', '/v1/inbox', { origin: 'https://any.example' });
  t.match(reply.cors, { 'access-control-allow-origin': '*' });
  t.notOk('vary' in reply.cors);
});

void t.test('a connection is good for the next request after a preflight', async (t) => {
  const app = await startTestApp(t, { CORS_ORIGINS: PAGE });
  const preflight = `OPTIONS /v1/events HTTP/1.1\r\nHost: x\r\nOrigin: ${PAGE}\r\nAccess-Control-Request-Method: POST\r\n\r\n`;
  const health = 'GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n';
  const { text, closed } = await sendRaw(app.url, [preflight, preflight, health], (text) =>
    text.includes('healthy'),
  );
  t.equal(text.match(/HTTP\/1.1 204 No Content/g)?.length, 2);
  t.notOk(closed);
});
