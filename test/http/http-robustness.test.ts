import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import type { Test } from 'tap';
import t from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import type { TestApp } from '../support/app.ts';
import { startTestApp, v1Error } from '../support/app.ts';
import { sendRaw } from '../support/raw.ts';

const AUTH = `Host: x\r\nX-API-Key: ${LOCAL_KEY}\r\n`;
const EVENT = '{"source":"s","event_type":"t","payload":{}}';

function post(body: string | Buffer, headers = ''): string {
  return `POST /v1/events HTTP/1.1\r\n${AUTH}Content-Length: ${String(Buffer.byteLength(body))}\r\n${headers}\r\n`;
}

/** After every abuse the service is as it was. */
async function stillServes(t: Test, app: TestApp, pending: number): Promise<void> {
  const inbox = await app.request('GET', '/v1/inbox?limit=100');
  t.equal(inbox.status, 200);
  t.equal((inbox.json['events'] as unknown[]).length, pending, 'nothing more was stored');
}

void t.test('a body over 512 KiB is refused, whole or in chunks, announced or not', async (t) => {
  const app = await startTestApp(t);
  const big = Buffer.alloc(600 * 1024, 0x20);
  const chunks = Array.from({ length: 10 }, () => `f000\r\n${' '.repeat(0xf000)}\r\n`);
  for (const [name, parts] of [
    ['announced', [post(big), big]],
    [
      'chunked',
      [`POST /v1/events HTTP/1.1\r\n${AUTH}Transfer-Encoding: chunked\r\n\r\n`, ...chunks, '0\r\n\r\n'],
    ],
    ['expecting 100', [post(big, 'Expect: 100-continue\r\n')]],
  ] as const) {
    const { text } = await sendRaw(app.url, parts);
    t.match(text, /^(HTTP\/1.1 100 Continue\r\n\r\n)?HTTP\/1.1 413 Content Too Large\r\n/, name);
    t.match(text, /"code":"PAYLOAD_TOO_LARGE"/, name);
  }
  const answer = await app.request('POST', '/v1/events', big);
  t.equal(answer.status, 413, 'a client that reads only after it has sent everything sees the answer');
  await stillServes(t, app, 0);
});

void t.test('a connection is used again after a refused body', async (t) => {
  const app = await startTestApp(t);
  const big = Buffer.alloc(600 * 1024, 0x20);
  const again = `GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n`;
  const { text, closed } = await sendRaw(app.url, [post(big), big, again], (text) =>
    text.includes('healthy'),
  );
  t.match(text, /413 Content Too Large[^]*200 OK[^]*healthy/);
  t.notOk(closed);
});

void t.test('a connection is good for the next request whatever the answer was', async (t) => {
  const app = await startTestApp(t);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => {
    agent.destroy();
  });
  const ports = new Set<number | undefined>();
  const send = (method: string, path: string, body?: string): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const headers = { 'x-api-key': LOCAL_KEY, 'content-type': 'application/json' };
      const sent = request(app.url + path, { method, agent, headers }, (answer) => {
        ports.add(answer.socket.localPort);
        answer.resume().on('end', () => {
          resolve(answer);
        });
      });
      sent.on('error', reject).end(body);
    });
  const id = await app.send();
  for (const [method, path, body, status] of [
    ['HEAD', '/v1/health', undefined, 200],
    ['HEAD', '/v1/inbox', undefined, 405],
    ['HEAD', '/nowhere', undefined, 404],
    ['DELETE', `/events/${id}`, undefined, 204],
    ['POST', '/v1/events', EVENT, 201],
    ['POST', '/v1/events', '{', 400],
    ['POST', '/v1/events', ' '.repeat(600_000), 413],
    ['GET', '/v1/inbox', undefined, 200],
  ] as const) {
    const answer = await send(method, path, body);
    t.equal(answer.statusCode, status, `${method} ${path}`);
    if (status === 204) t.equal(answer.headers['content-length'], undefined);
    t.equal((await send('GET', '/v1/health')).statusCode, 200, 'and the next');
  }
  t.equal(ports.size, 1, 'all on one connection');
});

void t.test('an endless body is cut off', async (t) => {
  const app = await startTestApp(t);
  const endless = Buffer.alloc(3 * 1024 * 1024, 0x20);
  const head = `POST /v1/events HTTP/1.1\r\n${AUTH}Content-Length: 99999999999\r\n\r\n`;
  const { closed } = await sendRaw(app.url, [head, endless], () => false);
  t.ok(closed);
  await stillServes(t, app, 0);
});

void t.test('a body that arrives byte by byte is read', async (t) => {
  const app = await startTestApp(t);
  const { text } = await new Promise<{ text: string }>((resolve) => {
    const { hostname, port } = new URL(app.url);
    const socket = connect({ port: Number(port), host: hostname, noDelay: true });
    const bytes = [post(EVENT), ...Array.from(EVENT)];
    const next = (): void => {
      const part = bytes.shift();
      if (part !== undefined) socket.write(part, () => setImmediate(next));
    };
    socket.on('connect', next);
    socket.on('data', (data) => {
      socket.destroy();
      resolve({ text: data.toString() });
    });
  });
  t.match(text, /^HTTP\/1.1 201 Created/);
  await stillServes(t, app, 1);
});

void t.test('a chunked body is read', async (t) => {
  const app = await startTestApp(t);
  const chunks = Array.from(EVENT, (byte) => `1\r\n${byte}\r\n`).join('');
  const head = `POST /v1/events HTTP/1.1\r\n${AUTH}Transfer-Encoding: chunked\r\n\r\n`;
  const { text } = await sendRaw(app.url, [head, chunks, '0\r\n\r\n']);
  t.match(text, /^HTTP\/1.1 201 Created/);
});

void t.test('a million-character string cut off halfway disturbs nobody', async (t) => {
  const app = await startTestApp(t);
  const body = `{"source":"s","event_type":"t","payload":{"a":"${'x'.repeat(1_000_000)}"}}`;
  const cut = body.slice(0, body.length / 2);
  // Cut by the end of the connection.
  const { hostname, port } = new URL(app.url);
  await new Promise<void>((resolve) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write(post(body.slice(0, 400_000)));
      socket.write(cut.slice(0, 200_000), () => {
        socket.destroy();
        resolve();
      });
    });
  });
  await stillServes(t, app, 0);
  // Cut, and sent as if it were whole.
  const answer = await app.request('POST', '/v1/events', cut.slice(0, 500_000));
  t.equal(answer.status, 400);
  t.equal(v1Error(answer).message, 'body: must be valid JSON (it ends too early)');
  await stillServes(t, app, 0);
});

void t.test('a client that goes away before its answer is only logged', async (t) => {
  const app = await startTestApp(t);
  const { hostname, port } = new URL(app.url);
  await Promise.all(
    Array.from(
      { length: 20 },
      () =>
        new Promise<void>((resolve) => {
          const socket = connect(Number(port), hostname, () => {
            socket.write(post(EVENT) + EVENT, () => {
              socket.resetAndDestroy();
              resolve();
            });
          });
        }),
    ),
  );
  const last = await app.send();
  t.equal((await app.request('GET', `/v1/events/${last}`)).status, 200);
  t.notOk(app.logged.some((line) => line['level'] === 'error'));
});

void t.test('invalid UTF-8', async (t) => {
  const app = await startTestApp(t);
  for (const bytes of [[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xc0, 0x80], [0xf5, 0x80, 0x80, 0x80]]) {
    const [before, after] = EVENT.split('"s"') as [string, string];
    const body = Buffer.concat([Buffer.from(`${before}"`), Buffer.from(bytes), Buffer.from(`"${after}`)]);
    const answer = await app.request('POST', '/v1/events', body);
    t.equal(answer.status, 400);
    t.equal(v1Error(answer).message, 'body: must be UTF-8');
  }
  const bom = await app.request('POST', '/v1/events', Buffer.from(`\ufeff${EVENT}`));
  t.equal(bom.status, 400);
  await stillServes(t, app, 0);
});

void t.test('headers that can be read in two ways end the connection with 400', async (t) => {
  const app = await startTestApp(t);
  const cases: [name: string, request: string][] = [
    ['content-length', post(EVENT, `Content-Length: ${String(EVENT.length + 1)}\r\n`) + EVENT],
    ['content-length', post(EVENT, `Content-Length: ${String(EVENT.length)}\r\n`) + EVENT],
    ['x-api-key', `GET /v1/inbox HTTP/1.1\r\n${AUTH}X-Api-Key: ${LOCAL_KEY}\r\n\r\n`],
    ['authorization', `GET /v1/inbox HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nauthorization: b\r\n\r\n`],
    ['x-api-key', `GET /nowhere HTTP/1.1\r\n${AUTH}X-Api-Key: ${LOCAL_KEY}\r\n\r\n`],
  ];
  for (const [name, request] of cases) {
    const { text, closed } = await sendRaw(app.url, [request]);
    t.match(text, /^HTTP\/1.1 400 Bad Request\r\n/, name);
    t.match(text, `${name}: is given more than once`);
    t.match(text, /connection: close/i);
    t.ok(closed, name);
  }
  const both = `POST /v1/events HTTP/1.1\r\n${AUTH}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`;
  const { text, closed } = await sendRaw(app.url, [both]);
  t.match(text, /^HTTP\/1.1 400 /, 'the parser refuses it before us');
  t.ok(closed);
  await stillServes(t, app, 0);
});

void t.test('only JSON in UTF-8 is taken', async (t) => {
  const app = await startTestApp(t);
  for (const [type, status] of [
    ['application/json', 201],
    ['application/json; charset=utf-8', 201],
    ['Application/JSON;charset="UTF-8"', 201],
    ['application/cloudevents+json', 201],
    ['text/plain', 415],
    ['application/x-www-form-urlencoded', 415],
    ['application/json; charset=iso-8859-1', 415],
    ['application/jsonp', 415],
  ] as const) {
    const answer = await app.request('POST', '/v1/events', EVENT, { 'content-type': type });
    t.equal(answer.status, status, type);
    if (status === 415) t.equal(v1Error(answer).code, 'UNSUPPORTED_MEDIA_TYPE');
  }
  const id = await app.send();
  const acknowledged = await app.request('POST', `/v1/events/${id}/ack`, '{}', {
    'content-type': 'text/plain',
  });
  t.equal(acknowledged.status, 415, 'also where no body is expected');
  t.equal(
    (await app.request('POST', `/v1/events/${id}/ack`, '{}')).status,
    200,
    'a body that is not needed is ignored',
  );
  const { text } = await sendRaw(app.url, [post(EVENT), EVENT]);
  t.match(text, /^HTTP\/1.1 201/, 'a body without a content type is taken for JSON');
});

void t.test('unknown paths and methods, in the error form of their contract', async (t) => {
  const app = await startTestApp(t);
  for (const path of ['/v1', '/v1/', '/v1/nothing', '/v1/events/', '/v1/inbox/']) {
    const answer = await app.request('GET', path);
    t.equal(answer.status, 404, path);
    t.equal(v1Error(answer).code, 'NOT_FOUND');
    t.equal(v1Error(answer).request_id, answer.headers.get('x-request-id'));
  }
  for (const path of ['/nothing', '/v2/events', '/V1/events', '/v10/events']) {
    const answer = await app.request('GET', path, undefined, { 'x-request-id': 'r-1' });
    t.equal(answer.status, 404, path);
    t.same(answer.json, {
      status: 404,
      error_code: 'NOT_FOUND',
      message: 'there is nothing at this path',
      details: null,
      correlation_id: 'r-1',
    });
  }
  for (const [method, path, allow] of [
    ['GET', '/v1/events', 'POST'],
    ['PUT', '/v1/inbox', 'GET'],
    ['PATCH', '/v1/events/x', 'GET, DELETE'],
    ['GET', '/v1/events/x/ack', 'POST'],
    ['POST', '/v1/health', 'GET, HEAD'],
    ['OPTIONS', '/v1/events', 'POST'],
  ] as const) {
    const answer = await app.request(method, path, method === 'GET' ? undefined : '{}');
    t.equal(answer.status, 405, `${method} ${path}`);
    t.equal(answer.headers.get('allow'), allow);
    t.equal(v1Error(answer).code, 'METHOD_NOT_ALLOWED');
  }
});

void t.test('request ids are taken over when they are fit for it', async (t) => {
  const app = await startTestApp(t);
  for (const id of ['a', 'A.b_c:d-9', 'x'.repeat(128)]) {
    const answer = await app.request('GET', '/v1/inbox', undefined, { 'x-request-id': id });
    t.equal(answer.headers.get('x-request-id'), id);
    t.equal(answer.json['request_id'], id);
  }
  for (const id of ['', 'x'.repeat(129), 'with space', 'quo"te', '{}']) {
    const answer = await app.request('GET', '/v1/inbox', undefined, { 'x-request-id': id });
    t.match(answer.headers.get('x-request-id'), /^[0-9a-f-]{36}$/);
    t.equal(answer.json['request_id'], answer.headers.get('x-request-id'));
  }
});

void t.test('a query that is broken is refused also where it is not used', async (t) => {
  const app = await startTestApp(t);
  for (const path of ['/v1/health?a=%zz', '/v1/inbox?a=%zz', '/v1/health?a=1&a=2']) {
    t.equal((await app.request('GET', path)).status, 400, path);
  }
});

void t.test('a port that is taken is refused', async (t) => {
  const app = await startTestApp(t);
  const { port } = new URL(app.url);
  await t.rejects(startTestApp(t, { PORT: port, DATA_DIR: t.testdir({ other: {} }) }), /cannot listen on/);
});
