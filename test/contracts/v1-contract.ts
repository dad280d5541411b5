import type { Test } from 'tap';
import { encodeCursor } from '../../src/events/cursor.ts';
import * as schemas from '../../src/http/v1/schemas.ts';
import type { Json, TestApp } from '../support/app.ts';
import { v1Error } from '../support/app.ts';
import { atOnce } from '../support/harness.ts';
import type { ServiceHarness, Shown, Start } from '../support/harness.ts';
import { walkHasAnEnd } from '../support/walk-end.ts';
import { conforms } from './conforms.ts';
import { v1BatchContract } from './v1-batch-contract.ts';
import { v1LeaseContract } from './v1-lease-contract.ts';

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
const UNKNOWN_ID = '00000000-0000-4000-8000-000000000000';

interface Page {
  readonly events: readonly (Json & { event_id: string })[];
  readonly pagination: { readonly next_cursor: string | null; readonly limit: number };
}

/** The `/v1` contract over HTTP, on any store. */
export function v1Contract(
  t: Test,
  { start, shown = atOnce, pagePayloadBytes = 4 * 1024 * 1024 }: ServiceHarness,
): void {
  void t.test('an event goes in, waits, is read, acknowledged, deleted', (t) => lifecycle(t, start, shown));
  void t.test('health and ready', (t) => probes(t, start));
  void t.test('a payload comes back as the very text that was sent', (t) => fidelity(t, start, shown));
  void t.test('metadata', (t) => metadata(t, start));
  void t.test('sizes at their limits', (t) => sizes(t, start));
  void t.test('errors in an event are reported field by field', (t) => invalidEvents(t, start));
  void t.test('the inbox in pages', (t) => pages(t, start, shown));
  void t.test('however fast events come, a walk ends', async (t) => {
    await walkHasAnEnd(t, await start(t), '/v1/inbox', shown);
  });
  void t.test('the inbox with filters', (t) => filters(t, start, shown));
  void t.test('an inbox page ends once it holds 4 MiB, or what it may hold here', (t) =>
    largePages(t, start, shown, Math.ceil(pagePayloadBytes / LARGE_PAYLOAD_BYTES)),
  );
  void t.test('inbox parameters and cursors that are wrong', (t) => invalidQueries(t, start, shown));
  void t.test('protected routes want a key', (t) => keys(t, start));
  void t.test('ids that are unknown or no ids', (t) => ids(t, start));
  v1BatchContract(t, start, shown);
  v1LeaseContract(t, start, shown);
}

async function lifecycle(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  const event = { source: 'shop', event_type: 'order.paid', payload: { order: 7 } };
  const created = await app.request('POST', '/v1/events', event, { 'x-request-id': 'my.request:1' });
  t.equal(created.status, 201);
  conforms(t, schemas.Created, created);
  const id = created.json['event_id'] as string;
  t.match(id, UUID_V4);
  t.match(created.json['created_at'], TIME);
  t.equal(created.json['status'], 'pending');
  t.equal(created.json['request_id'], 'my.request:1');
  t.equal(created.headers.get('x-request-id'), 'my.request:1');
  t.equal(created.headers.get('location'), `/v1/events/${id}`);

  const expected = {
    event_id: id,
    ...event,
    metadata: null,
    status: 'pending',
    created_at: created.json['created_at'],
    acknowledged_at: null,
  };
  const read = await app.request('GET', `/v1/events/${id.toUpperCase()}`);
  t.equal(read.status, 200);
  conforms(t, schemas.EventWithRequestId, read);
  t.same(read.json, { ...expected, request_id: read.headers.get('x-request-id') });
  t.match(read.json['request_id'], UUID_V4);

  await shown(app, 1);
  const inbox = await app.request('GET', '/v1/inbox');
  t.equal(inbox.status, 200);
  conforms(t, schemas.InboxPage, inbox);
  t.same(inbox.json['events'], [{ ...expected, leased_until: null }]);
  t.same(inbox.json['pagination'], { next_cursor: null, limit: 50 });

  const acknowledged = await app.request('POST', `/v1/events/${id}/ack`);
  t.equal(acknowledged.status, 200);
  conforms(t, schemas.Acknowledged, acknowledged);
  t.match(acknowledged.json['acknowledged_at'], TIME);
  t.ok(String(acknowledged.json['acknowledged_at']) > String(created.json['created_at']));
  t.same((await app.request('GET', '/v1/inbox')).json['events'], []);
  const again = await app.request('POST', `/v1/events/${id}/ack`);
  t.equal(again.status, 409);
  t.equal(v1Error(again).code, 'CONFLICT');
  const after = await app.request('GET', `/v1/events/${id}`);
  t.equal(after.json['status'], 'acknowledged');
  t.equal(after.json['acknowledged_at'], acknowledged.json['acknowledged_at']);

  const deleted = await app.request('DELETE', `/v1/events/${id}`);
  t.equal(deleted.status, 200);
  conforms(t, schemas.Deleted, deleted);
  t.equal((await app.request('DELETE', `/v1/events/${id}`)).status, 200);
  t.equal((await app.request('GET', `/v1/events/${id}`)).status, 404);
  t.equal((await app.request('POST', `/v1/events/${id}/ack`)).status, 404);
}

async function probes(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const health = await app.request('GET', '/v1/health?cache=buster');
  t.equal(health.status, 200);
  conforms(t, schemas.Health, health);
  const ready = await app.request('GET', '/v1/ready');
  t.equal(ready.status, 200);
  conforms(t, schemas.Ready, ready);
  for (const path of ['/v1/health', '/v1/ready']) {
    const head = await app.request('HEAD', path);
    t.equal(head.status, 200);
    t.equal(head.text, '');
    t.ok(Number(head.headers.get('content-length')) > 0);
  }
}

async function fidelity(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  const payloads = [
    '{"b":1,"a":2,"10":3,"9":4}',
    '{"n":1.10,"big":9007199254740993,"huge":1e400,"zero":-0,"e":1E+2}',
    '{"__proto__":{"admin":true},"constructor":{"prototype":1},"hasOwnProperty":2}',
    '{ "spaced" : [ 1 , 2 ] ,\n\t"x":"\\u0041\\ud83d\\ude00 é 😀" }',
    '{"twice":1,"twice":2}',
    '{"lone":"\\ud800","nul":"\\u0000"}',
    `{"deep":${'['.repeat(10_000)}${']'.repeat(10_000)}}`,
    '{}',
  ];
  for (const payload of payloads) {
    const sent = await app.request(
      'POST',
      '/v1/events',
      ` {"event_type":"t","payload" : ${payload} ,"source":"s"}\n`,
    );
    t.equal(sent.status, 201, payload.slice(0, 60));
    const read = await app.request('GET', `/v1/events/${String(sent.json['event_id'])}`);
    t.ok(read.text.includes(`"payload":${payload},"metadata"`), payload.slice(0, 60));
  }
  await shown(app, payloads.length);
  const inbox = await app.request('GET', '/v1/inbox');
  for (const payload of payloads) t.ok(inbox.text.includes(`"payload":${payload},"metadata"`));

  const last = await app.request(
    'POST',
    '/v1/events',
    '{"source":"s","event_type":"t","payload":{"a":1},"p\\u0061yload":{"b":2}}',
  );
  const kept = await app.request('GET', `/v1/events/${String(last.json['event_id'])}`);
  t.same(kept.json['payload'], { b: 2 }, 'the last of two members counts, as in JSON.parse');
}

async function metadata(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const readBack = async (sent: string): Promise<string> => {
    const body = `{"source":"s","event_type":"t","payload":{},"metadata":${sent}}`;
    const created = await app.request('POST', '/v1/events', body);
    t.equal(created.status, 201, created.text);
    const read = await app.request('GET', `/v1/events/${String(created.json['event_id'])}`);
    return /"metadata":(.*),"status"/s.exec(read.text)?.[1] ?? '';
  };
  t.equal(await readBack('{}'), '{"priority":"normal"}');
  t.equal(await readBack('{ }'), '{"priority":"normal"}');
  t.equal(
    await readBack('{"correlation_id":"c","x":1.10 }'),
    '{"correlation_id":"c","x":1.10,"priority":"normal"}',
  );
  t.equal(await readBack('{"priority":"high","y":[1]}'), '{"priority":"high","y":[1]}');
  const exact = `{"priority":"low","fill":"${'x'.repeat(8_192 - 28)}"}`;
  t.equal(exact.length, 8_192);
  t.equal(await readBack(exact), exact);

  for (const [sent, message] of [
    [exact.replace('"}', 'x"}'), 'metadata: must have at most 8192 bytes'],
    ['{"priority":"urgent"}', 'metadata.priority: must be one of "low", "normal", "high"'],
    ['{"correlation_id":7}', 'metadata.correlation_id: must be a string'],
    ['{"idempotency_key":""}', 'metadata.idempotency_key: must not be empty'],
    [
      '{"idempotency_key":"\\udc00"}',
      'metadata.idempotency_key: must be well-formed Unicode (it holds half of a surrogate pair)',
    ],
    ['[]', 'metadata: must be an object'],
    ['null', 'metadata: must be an object'],
  ] as const) {
    const body = `{"source":"s","event_type":"t","payload":{},"metadata":${sent}}`;
    const refused = await app.request('POST', '/v1/events', body);
    t.equal(refused.status, 400);
    t.equal(v1Error(refused).message, message);
  }
}

async function sizes(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const body = (payload: string): string => `{"source":"s","event_type":"t","payload":${payload}}`;
  // Two bytes a character: the limit counts bytes.
  const exact = `{"a":"${'é'.repeat((409_600 - 8) / 2)}"}`;
  t.equal(Buffer.byteLength(exact), 409_600);
  const created = await app.request('POST', '/v1/events', body(exact));
  t.equal(created.status, 201);
  const read = await app.request('GET', `/v1/events/${String(created.json['event_id'])}`);
  t.ok(read.text.includes(`"payload":${exact},`));
  const over = await app.request('POST', '/v1/events', body(exact.replace('"}', 'x"}')));
  t.equal(over.status, 413);
  t.equal(v1Error(over).code, 'PAYLOAD_TOO_LARGE');

  for (const field of ['source', 'event_type']) {
    for (const [value, status] of [
      ['', 400],
      ['x', 201],
      ['x'.repeat(255), 201],
      ['😀'.repeat(255), 201],
      ['x'.repeat(256), 400],
      ['😀'.repeat(256), 400],
    ] as const) {
      const event = { source: 's', event_type: 't', payload: {}, [field]: value };
      const answer = await app.request('POST', '/v1/events', event);
      t.equal(answer.status, status, `${field} of ${String(value.length)}`);
      if (status === 201) {
        const back = await app.request('GET', `/v1/events/${String(answer.json['event_id'])}`);
        t.equal(back.json[field], value);
      }
    }
  }
}

async function invalidEvents(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const cases: [body: string, message: string, details: number][] = [
    ['{}', 'source: is required (and 2 more errors)', 3],
    ['{"source":"s","event_type":"","payload":{}}', 'event_type: must not be empty', 1],
    ['{"source":1,"event_type":"t","payload":[]}', 'source: must be a string (and 1 more error)', 2],
    ['{"source":"s","event_type":"t","payload":null}', 'payload: must be an object', 1],
    ['{"source":"s","event_type":"t","payload":{},"extra":1}', 'extra: is not a known field', 1],
    ['{"source":"s","event_type":"t","payload":{},"__proto__":{}}', '__proto__: is not a known field', 1],
    ['{"source":"s","event_type":"t","payload":{},"a/b~c":1}', 'a/b~c: is not a known field', 1],
    [
      '{"source":"\\ud800","event_type":"t","payload":{}}',
      'source: must be well-formed Unicode (it holds half of a surrogate pair)',
      1,
    ],
    ['[]', 'body: must be an object', 1],
    ['"text"', 'body: must be an object', 1],
    ['{"source":', 'body: must be valid JSON (it ends too early)', 1],
    ['{"source":"s",}', 'body: must be valid JSON (unexpected token at position 14)', 1],
    ['', 'body: must be valid JSON (it ends too early)', 1],
  ];
  for (const [body, message, details] of cases) {
    const answer = await app.request('POST', '/v1/events', body);
    t.equal(answer.status, 400, body);
    conforms(t, schemas.ErrorBody, answer);
    const error = v1Error(answer);
    t.equal(error.code, 'VALIDATION_ERROR');
    t.equal(error.message, message);
    t.equal((error.details as unknown[]).length, details);
    t.equal(error.request_id, answer.headers.get('x-request-id'));
  }
  t.same((await app.request('GET', '/v1/inbox')).json['events'], [], 'nothing was stored');
}

async function walk(app: TestApp, query: string, pagesAtMost = 50): Promise<Page[]> {
  const walked: Page[] = [];
  let cursor: string | null = '';
  while (cursor !== null && walked.length < pagesAtMost) {
    const more: string = cursor === '' ? '' : `&cursor=${cursor}`;
    const answer = await app.request('GET', `/v1/inbox?${query}${more}`);
    if (answer.status !== 200) throw new Error(answer.text);
    const page = answer.json as unknown as Page;
    walked.push(page);
    cursor = page.pagination.next_cursor;
  }
  return walked;
}

const idsOf = (walked: readonly Page[]): string[] =>
  walked.flatMap((page) => page.events.map((event) => event.event_id));

async function pages(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  t.same((await walk(app, 'limit=7')).length, 1, 'an empty inbox is one empty page');
  const sent: string[] = [];
  for (let i = 0; i < 25; i++) sent.push(await app.send({ payload: { i } }));
  await shown(app, sent.length);
  const walked = await walk(app, 'limit=10');
  t.same(
    walked.map((page) => page.events.length),
    [10, 10, 5],
  );
  t.same(idsOf(walked), sent, 'oldest first, each once');
  t.same(idsOf(await walk(app, 'limit=25')), sent);
  t.equal((await walk(app, 'limit=25')).length, 1, 'a full last page says that it is the last');

  const [first] = await walk(app, 'limit=10', 1);
  await app.request('POST', `/v1/events/${String(sent[3])}/ack`);
  await app.request('POST', `/v1/events/${String(sent[12])}/ack`);
  const rest = await app.request(
    'GET',
    `/v1/inbox?limit=100&cursor=${String(first?.pagination.next_cursor)}`,
  );
  t.same(
    (rest.json as unknown as Page).events.map((event) => event.event_id),
    sent.slice(10).filter((id) => id !== sent[12]),
    'what was acknowledged meanwhile is gone, the rest is there',
  );
}

const LONGEST = encodeURIComponent('😀'.repeat(255));

async function filters(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  const sent: { id: string; source: string; event_type: string }[] = [];
  for (let i = 0; i < 40; i++) {
    const event = { source: i % 2 === 0 ? 'a b&c' : 'é', event_type: i % 5 === 0 ? 'rare' : 'common' };
    sent.push({ id: await app.send(event), ...event });
  }
  await shown(app, sent.length);
  const matching = (wanted: Partial<(typeof sent)[number]>): string[] =>
    sent
      .filter((event) => Object.entries(wanted).every(([name, value]) => event[name as 'source'] === value))
      .map((event) => event.id);
  const cases: [string, string[]][] = [
    ['event_type=rare', matching({ event_type: 'rare' })],
    ['source=a+b%26c', matching({ source: 'a b&c' })],
    ['source=%C3%A9&event_type=rare', matching({ source: 'é', event_type: 'rare' })],
    ['source=A+b%26c', []],
    ['event_type=rar', []],
    // The longest filters that there are: 6,120 bytes of a URL.
    [`source=${LONGEST}&event_type=${LONGEST}`, []],
  ];
  for (const [query, expected] of cases) {
    const walked = await walk(app, `${query}&limit=3`);
    t.same(idsOf(walked), expected, query);
    for (const page of walked.slice(0, -1)) t.equal(page.events.length, 3, 'a page is filled up');
  }
}

/** Of `{"fill":"x…"}`. */
const LARGE_PAYLOAD_BYTES = 409_011;

/** @param most events that a page has then. */
async function largePages(t: Test, start: Start, shown: Shown, most: number): Promise<void> {
  const app = await start(t);
  const sent: string[] = [];
  for (let i = 0; i < 13; i++)
    sent.push(await app.send({ payload: { fill: 'x'.repeat(LARGE_PAYLOAD_BYTES - 11) } }));
  await shown(app, sent.length);
  const walked = await walk(app, 'limit=100');
  t.same(idsOf(walked), sent);
  t.same(
    walked.map((page) => page.events.length),
    [most, sent.length - most],
  );
}

async function invalidQueries(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  await app.send();
  await app.send();
  await shown(app, 2);
  const [page] = await walk(app, 'limit=1', 1);
  const cursor = String(page?.pagination.next_cursor);
  const flipped = (cursor.startsWith('A') ? 'B' : 'A') + cursor.slice(1);
  const cases: [query: string, message: RegExp][] = [
    ['limit=0', /^limit: must be at least 1$/],
    ['limit=101', /^limit: must be at most 100$/],
    ['limit=x', /^limit: must be an integer$/],
    ['limit=1.5', /^limit: must be an integer$/],
    ['limit=', /^limit: must be an integer$/],
    ['limit=0x10', /^limit: must be an integer$/],
    ['limit=1&limit=2', /^limit: is given more than once$/],
    ['source=', /^source: must not be empty$/],
    [`event_type=${'x'.repeat(256)}`, /^event_type: must have at most 255 characters$/],
    ['source=%zz', /^query: "%zz" is not valid percent-encoded UTF-8$/],
    ['source=%ff', /^query: "%ff" is not valid percent-encoded UTF-8$/],
    ['nonsense=1', /^nonsense: is not a known parameter$/],
    ['cursor=', /^cursor: must not be empty$/],
    ['cursor=abc', /^cursor: must be the next_cursor/],
    [`cursor=${flipped}`, /^cursor: must be the next_cursor/],
    [`cursor=${cursor}A`, /^cursor: must be the next_cursor/],
    [`cursor=${'A'.repeat(3000)}`, /^cursor: must be the next_cursor/],
    // Forged with a right checksum: what stands in it is still checked.
    [`cursor=${encodeCursor('default', 'v1', 'nonsense')}`, /^cursor: must be the next_cursor/],
    [`cursor=${encodeCursor('default', 'v1', '9'.repeat(400))}`, /^cursor: must be the next_cursor/],
    [`cursor=${encodeCursor('other', 'v1', '1')}`, /^cursor: must be the next_cursor/],
  ];
  for (const [query, message] of cases) {
    const answer = await app.request('GET', `/v1/inbox?${query}`);
    t.equal(answer.status, 400, query);
    t.match(v1Error(answer).message, message);
  }
  t.equal((await app.request('GET', `/v1/inbox?cursor=${cursor}`)).status, 200);
}

async function keys(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const id = await app.send();
  const routes = [
    ['POST', '/v1/events'],
    ['GET', `/v1/events/${id}`],
    ['GET', '/v1/events/not-a-uuid'],
    ['GET', '/v1/inbox'],
    ['GET', '/v1/inbox?limit=nonsense'],
    ['POST', `/v1/events/${id}/ack`],
    ['POST', '/v1/events/batch'],
    ['POST', '/v1/events/ack'],
    ['DELETE', `/v1/events/${id}`],
  ] as const;
  const good = 'test-api-key-12345';
  const presented: Record<string, string>[] = [
    { 'x-api-key': '' },
    { 'x-api-key': 'wrong' },
    { 'x-api-key': good, authorization: 'Bearer other' },
    { 'x-api-key': '', authorization: 'Bearer ' },
    { 'x-api-key': '', authorization: `Basic ${good}` },
  ];
  for (const [method, path] of routes) {
    for (const headers of presented) {
      const body = method === 'POST' && path === '/v1/events' ? '{not json' : undefined;
      const answer = await app.request(method, path, body, headers);
      t.equal(answer.status, 401, `${method} ${path} ${JSON.stringify(headers)}`);
      t.equal(v1Error(answer).code, 'UNAUTHORIZED');
      t.match(answer.headers.get('www-authenticate'), /^Bearer /);
    }
  }
  for (const headers of [
    { 'x-api-key': '', authorization: `Bearer ${good}` },
    { 'x-api-key': '', authorization: `bearer ${good}` },
    { 'x-api-key': good, authorization: `Bearer ${good}` },
    { 'x-api-key': good, authorization: 'Basic b3RoZXI=' },
  ]) {
    const answer = await app.request('GET', `/v1/events/${id}`, undefined, headers);
    t.equal(answer.status, 200, JSON.stringify(headers));
  }
  const bearer = await fetch(`${app.url}/v1/events/${id}`, { headers: { authorization: `Bearer ${good}` } });
  t.equal(bearer.status, 200);
  t.equal((await app.request('GET', `/v1/events/${id}`)).status, 200, 'nothing has happened to the event');
}

async function ids(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  for (const [method, suffix] of [
    ['GET', ''],
    ['POST', '/ack'],
    ['DELETE', ''],
  ] as const) {
    const unknown = await app.request(method, `/v1/events/${UNKNOWN_ID}${suffix}`);
    t.equal(unknown.status, method === 'DELETE' ? 200 : 404);
    if (method !== 'DELETE') t.equal(v1Error(unknown).code, 'NOT_FOUND');
    for (const id of [
      'x',
      `${UNKNOWN_ID}0`,
      UNKNOWN_ID.replaceAll('-', ''),
      'zzzzzzzz-0000-4000-8000-000000000000',
    ]) {
      const invalid = await app.request(method, `/v1/events/${id}${suffix}`);
      t.equal(invalid.status, 422, id);
      t.equal(v1Error(invalid).code, 'INVALID_EVENT_ID');
    }
    t.equal((await app.request(method, `/v1/events/%zz${suffix}`)).status, 400);
  }
}
