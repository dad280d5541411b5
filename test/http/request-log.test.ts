import { readFileSync } from 'node:fs';
import { Writable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { Exchange } from '../../src/http/exchange.ts';
import { requestLog } from '../../src/http/request-log.ts';
import { createLogger, infoWriter } from '../../src/log.ts';
import { StoreOverloadedError, StoreUnavailableError } from '../../src/store/store-errors.ts';
import { startTestApp, type Json } from '../support/app.ts';
import { sendRaw } from '../support/raw.ts';
import { askAndReadNothing } from '../support/readers.ts';

function exchangeOf(members: Record<string, unknown>): Exchange {
  return {
    head: { requestId: 'r-1' },
    requestId: 'r-1',
    startedAt: 1000,
    endedAt: 1012.3456,
    bytesIn: 2,
    bytesOut: 3,
    clientAddress: '::1',
    rawQuery: '',
    method: 'POST',
    route: '/v1/events',
    ...members,
  } as unknown as Exchange;
}

/** The lines of a request that was answered 503 because of that. */
function logged(cause: unknown): Json[] {
  const lines: Json[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()) as Json);
      done();
    },
  });
  const logger = createLogger('info', stream);
  requestLog(logger, infoWriter(logger)).onResponse(exchangeOf({ status: 503, cause }));
  return lines;
}

void t.test('a store that takes no more is one short warning for each request', (t) => {
  for (const refusal of [new StoreOverloadedError('too many'), new StoreUnavailableError('almost full')]) {
    const lines = logged(refusal);
    t.match(lines, [{ level: 'warn', msg: 'request refused', status: 503, reason: refusal.message }]);
    t.notOk(JSON.stringify(lines).includes('stack'));
  }
  t.end();
});

void t.test('a store that fails is an error with all that is known', (t) => {
  const failure = new StoreUnavailableError('failed', { cause: new Error('ENOSPC') });
  for (const cause of [failure, new Error('unexpected')]) {
    t.match(logged(cause), [{ level: 'error', msg: 'request failed', err: { stack: /Error/ } }]);
  }
  t.end();
});

void t.test('the line that is written without the logger is the one that the logger would write', (t) => {
  const lines: string[] = [];
  const logger = createLogger('info', { write: (line: string) => lines.push(line) });
  const text = fc.oneof(fc.string({ unit: 'binary-ascii' }), fc.uuid(), fc.string({ unit: 'grapheme' }));
  const exchanges = fc.record({
    head: fc.record({
      requestId: text,
      trace: fc.option(fc.constant({ traceId: 'a'.repeat(32), parentId: 'b'.repeat(16) }), {
        nil: undefined,
      }),
    }),
    method: text,
    route: text,
    status: fc.constantFrom(200, 201, 304, 404),
    endedAt: fc.double({ min: 1000, max: 40_000, noNaN: true }),
    bytesIn: fc.nat(),
    principal: fc.option(fc.record({ keyId: text, tenant: text }), { nil: undefined }),
    rawQuery: fc.constantFrom('', 'limit=5&source=a%22b&secret=x', '%'),
  });
  fc.assert(
    fc.property(exchanges, (members) => {
      lines.length = 0;
      const exchange = exchangeOf({ ...members, requestId: members.head.requestId });
      requestLog(logger, infoWriter(logger)).onResponse(exchange);
      requestLog(logger, undefined).onResponse(exchange);
      const [own, loggers] = lines.map((line) => ({ ...(JSON.parse(line) as Json), time: '' }));
      t.same(own, loggers);
      t.same(Object.keys(own ?? {}), Object.keys(loggers ?? {}), 'in the same order');
    }),
    { numRuns: 200 },
  );
  t.end();
});

void t.test('below info a line is left out, and at debug it has the place in the code', (t) => {
  for (const level of ['warn', 'debug'] as const) {
    const lines: string[] = [];
    const logger = createLogger(level, { write: (line: string) => lines.push(line) });
    requestLog(logger, infoWriter(logger)).onResponse(exchangeOf({ status: 200 }));
    if (level === 'warn') t.same(lines, []);
    else t.match(JSON.parse(lines.join('')), { level: 'info', place: /request-log/, msg: 'request' });
  }
  t.end();
});

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT_ID = '00f067aa0ba902b7';
const HEAD = 'GET /v1/inbox?limit=3 HTTP/1.1\r\nHost: x\r\nX-API-Key: test-api-key-12345\r\n';

void t.test('the fields of a line are those that the operations page explains', async (t) => {
  const app = await startTestApp(t);
  await app.send();
  const { text } = await sendRaw(app.url, [`${HEAD}traceparent: 00-${TRACE_ID}-${PARENT_ID}-01\r\n\r\n`]);
  const body = text.slice(text.indexOf('\r\n\r\n') + 4);
  const [sent, line] = app.logged.filter(({ msg }) => msg === 'request');
  t.match(sent, { route: '/v1/events', status: 201, tenant: 'default', bytes_in: 60 });
  t.notOk(sent?.['trace_id']);
  t.match(line, {
    level: 'info',
    request_id: /^[0-9a-f-]{36}$/,
    trace_id: TRACE_ID,
    parent_id: PARENT_ID,
    method: 'GET',
    route: '/v1/inbox',
    status: 200,
    response_time_ms: Number,
    tenant: 'default',
    client: '127.0.0.1',
    bytes_in: 0,
    bytes_out: Buffer.byteLength(body, 'latin1'),
    query: { limit: '3' },
  });
  const page = readFileSync('docs/operations.md', 'utf8');
  const table = page.slice(page.indexOf('## Log'), page.indexOf('Payloads are not logged'));
  const explained = [...table.matchAll(/^\| (`[^|]*`) +\|/gm)].flatMap(([, names = '']) =>
    [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name),
  );
  t.same(Object.keys(line ?? {}).sort(), explained.filter((name) => name !== 'err').sort());
});

/** Asks for large pages and reads none of them, until the kernel's buffers take no more and a reply waits. */
async function waitingReply(t: Test) {
  const app = await startTestApp(t, { LOG_LEVEL: 'debug' });
  for (let index = 0; index < 8; index++) await app.send({ payload: { text: 'x'.repeat(400_000) } });
  const request = `${HEAD.replace('limit=3', 'limit=8')}\r\n`;
  const lines = (msg: string) =>
    app.logged.filter((line) => line['route'] === '/v1/inbox' && line['msg'] === msg);
  const socket = askAndReadNothing(app.url, request);
  for (let asked = 1; ; asked++) {
    await until(() => lines('request started')[asked - 1]);
    for (let turn = 0; turn < 10; turn++) await setImmediate();
    if (lines('request').length < asked) return { socket, lines, asked };
    socket.write(request);
  }
}

void t.test('bytes of a reply that the client did not take are not counted', async (t) => {
  const { socket, lines } = await waitingReply(t);
  socket.resetAndDestroy();
  const line = await until(() => lines('client went away')[0]);
  t.equal(line['status'], null);
  t.ok(Number(line['bytes_out']) < 8 * 400_000, `${String(line['bytes_out'])} bytes`);
});

void t.test('bytes of a reply that the client took late are counted all', async (t) => {
  const { socket, lines, asked } = await waitingReply(t);
  socket.resume();
  await until(() => lines('request')[asked - 1]);
  socket.destroy();
  const sizes = new Set(lines('request').map((line) => line['bytes_out']));
  t.equal(sizes.size, 1, `the pages are alike: ${[...sizes].join()} bytes`);
  t.ok(Number([...sizes][0]) > 8 * 400_000);
});

/** Waits until there is something. */
async function until<T>(find: () => T | undefined): Promise<T> {
  for (;;) {
    const found = find();
    if (found !== undefined) return found;
    await setImmediate();
  }
}

void t.test('nothing of a trace is stored, except what the producer puts into the metadata', async (t) => {
  const app = await startTestApp(t);
  const traceparent = `00-${TRACE_ID}-${PARENT_ID}-01`;
  const event = { source: 's', event_type: 't', payload: {} };
  for (const [metadata, stored] of [
    [undefined, null],
    [{ traceparent: 'as it came' }, { priority: 'normal', traceparent: 'as it came' }],
  ]) {
    const sent = await app.request('POST', '/v1/events', { ...event, metadata }, { traceparent });
    const { json } = await app.request('GET', `/v1/events/${String(sent.json['event_id'])}`);
    t.same(json['metadata'], stored);
  }
});
