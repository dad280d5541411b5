import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Test } from 'tap';
import { encodeCursor } from '../../src/events/cursor.ts';
import * as schemas from '../../src/http/unversioned/schemas.ts';
import type { Answer, Json } from '../support/app.ts';
import { atOnce } from '../support/harness.ts';
import type { ServiceHarness, Shown, Start } from '../support/harness.ts';
import { fakeTime } from '../support/time.ts';
import { walkHasAnEnd } from '../support/walk-end.ts';

const UNKNOWN_ID = '00000000-0000-4000-8000-000000000000';
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

/** The unversioned contract over HTTP, on any store. */
export function unversionedContract(
  t: Test,
  { start, shown = atOnce, longWalkEvents = 5_000 }: ServiceHarness,
): void {
  void t.test('an event goes in, is listed, read, delivered and kept', (t) => lifecycle(t, start, shown));
  void t.test('status', (t) => status(t, start));
  void t.test('ten events in two pages, and what is wrong with a query', (t) => pages(t, start, shown));
  void t.test('however fast events come, a walk ends', async (t) => {
    await walkHasAnEnd(t, await start(t), '/inbox', shown);
  });
  void t.test(`${String(longWalkEvents)} events walked in pages of 200`, (t) =>
    longWalk(t, start, shown, longWalkEvents),
  );
  void t.test('equal events within the window are duplicates', (t) => deduplication(t, start, shown));
  void t.test('after the window the same event is new', (t) => window(t, start));
  void t.test('a window of 0 turns deduplication off', (t) => windowOff(t, start));
  void t.test('delivered or deleted meanwhile', (t) => afterwards(t, start));
  void t.test('each contract reads events of the other', (t) => bothContracts(t, start, shown));
  void t.test('sizes at their limits, and invalid events', (t) => limits(t, start));
  void t.test('ids, keys and errors in the form of this contract', (t) => errors(t, start));
}

function conforms(t: Test, schema: TSchema, answer: Answer): void {
  t.same(Compile(schema).Errors(answer.json), [], 'fits the schema of its route');
  t.equal(answer.headers.get('content-type'), 'application/json; charset=utf-8');
}

const paginationOf = (answer: Answer): Json => answer.json['pagination'] as Json;
const eventsOf = (answer: Answer): Json[] => answer.json['events'] as Json[];

async function lifecycle(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  const event = { event_type: 'order.paid', source: 'shop', payload: { order: 7 } };
  const created = await app.request('POST', '/events', event);
  t.equal(created.status, 200);
  conforms(t, schemas.Created, created);
  t.match(created.json, { delivered: false, deduplicated: false, timestamp: TIME });
  const id = String(created.json['event_id']);
  const expected = {
    event_id: id,
    ...event,
    timestamp: created.json['timestamp'],
    delivered: false,
    updated_at: null,
  };

  await shown(app, 1);
  const inbox = await app.request('GET', '/inbox');
  conforms(t, schemas.InboxPage, inbox);
  t.same(eventsOf(inbox), [expected]);
  t.same(paginationOf(inbox), { next_cursor: null, has_more: false, total_undelivered: 1 });
  const read = await app.request('GET', `/events/${id.toUpperCase()}`);
  conforms(t, schemas.Event, read);
  t.same(read.json, expected);

  const delivered = await app.request('DELETE', `/events/${id}`);
  t.equal(delivered.status, 204);
  t.equal(delivered.text, '');
  t.ok(delivered.headers.get('x-request-id'));
  const after = await app.request('GET', '/inbox');
  t.same(eventsOf(after), []);
  t.same(paginationOf(after), { next_cursor: null, has_more: false, total_undelivered: 0 });
  const kept = await app.request('GET', `/events/${id}`);
  t.match(kept.json, { ...expected, delivered: true, updated_at: TIME });
  t.equal((await app.request('DELETE', `/events/${id}`)).status, 204, 'again');
  t.same((await app.request('GET', `/events/${id}`)).json, kept.json, 'changes nothing');
}

async function status(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const answer = await app.request('GET', '/status');
  t.equal(answer.status, 200);
  conforms(t, schemas.Status, answer);
  t.ok(Number(answer.json['uptime_seconds']) > 0);
  t.equal((await app.request('HEAD', '/status')).status, 200);
}

async function pages(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  t.same(eventsOf(await app.request('GET', '/inbox')), []);
  const sent: string[] = [];
  for (let n = 0; n < 10; n++) {
    const created = await app.request('POST', '/events', { event_type: n < 7 ? 'a' : 'b', payload: { n } });
    sent.push(String(created.json['event_id']));
  }
  await shown(app, 10);
  const first = await app.request('GET', '/inbox?limit=5');
  t.same(
    eventsOf(first).map((event) => event['event_id']),
    sent.slice(0, 5),
  );
  t.match(paginationOf(first), { has_more: true, next_cursor: String, total_undelivered: 10 });
  const cursor = String(paginationOf(first)['next_cursor']);
  const second = await app.request('GET', `/inbox?limit=5&cursor=${cursor}`);
  t.same(
    eventsOf(second).map((event) => event['event_id']),
    sent.slice(5),
  );
  t.same(paginationOf(second), { next_cursor: null, has_more: false, total_undelivered: 10 });
  const filtered = await app.request('GET', '/inbox?event_type=b');
  t.equal(eventsOf(filtered).length, 3);
  t.equal(paginationOf(filtered)['total_undelivered'], 10, 'whatever the filter');

  for (const [query, message] of [
    ['limit=0', 'limit: must be at least 1'],
    ['limit=201', 'limit: must be at most 200'],
    ['limit=x', 'limit: must be an integer'],
    ['source=s', 'source: is not a known parameter'],
    ['event_type=', 'event_type: must not be empty'],
    ['limit=1&limit=1', 'limit: is given more than once'],
    ['cursor=nonsense', 'cursor: must be the next_cursor of a page of this inbox; start again without it'],
    [
      `cursor=${encodeCursor('default', 'v1', '1')}`,
      'cursor: must be the next_cursor of a page of this inbox; start again without it',
    ],
  ] as const) {
    const answer = await app.request('GET', `/inbox?${query}`);
    t.equal(answer.status, 400, query);
    conforms(t, schemas.ErrorBody, answer);
    t.equal(answer.json['message'], message);
  }
  t.equal((await app.request('GET', `/v1/inbox?cursor=${cursor}`)).status, 400, 'nor has v1 this cursor');
}

async function longWalk(t: Test, start: Start, shown: Shown, events: number): Promise<void> {
  const app = await start(t);
  const sent: string[] = [];
  const numbers = Array.from({ length: events }, (_, n) => n).values();
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (const n of numbers) sent.push(await app.send({ payload: { n } }));
    }),
  );
  await shown(app, sent.length);
  const walked: string[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const page = await app.request('GET', `/inbox?limit=200${cursor === '' ? '' : `&cursor=${cursor}`}`);
    t.equal(eventsOf(page).length, 200);
    walked.push(...eventsOf(page).map((event) => String(event['event_id'])));
    cursor = paginationOf(page)['next_cursor'] as string | null;
  }
  t.same(new Set(walked).size, walked.length, 'each once');
  t.same(walked.toSorted(), sent.toSorted(), 'all of them');
}

async function deduplication(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  const post = async (body: string): Promise<{ id: string; deduplicated: boolean }> => {
    const answer = await app.request('POST', '/events', body);
    t.equal(answer.status, 200, answer.text);
    return { id: String(answer.json['event_id']), deduplicated: answer.json['deduplicated'] === true };
  };
  const first = await post('{"event_type":"t","source":"s","payload":{"a":1,"b":{"c":[1,2],"d":"é"}}}');
  t.equal(first.deduplicated, false);
  for (const equal of [
    '{"event_type":"t","source":"s","payload":{"a":1,"b":{"c":[1,2],"d":"é"}}}',
    '{"payload":{"b":{"d":"\\u00e9","c":[1.0,20e-1]},"a":1e0},"source":"s","event_type":"t"}',
  ]) {
    t.same(await post(equal), { id: first.id, deduplicated: true });
  }
  for (const other of [
    '{"event_type":"t","payload":{"a":1,"b":{"c":[1,2],"d":"é"}}}',
    '{"event_type":"t2","source":"s","payload":{"a":1,"b":{"c":[1,2],"d":"é"}}}',
    '{"event_type":"t","source":"s2","payload":{"a":1,"b":{"c":[1,2],"d":"é"}}}',
    '{"event_type":"t","source":"s","payload":{"a":"1","b":{"c":[1,2],"d":"é"}}}',
    '{"event_type":"t","source":"s","payload":{"a":1,"b":{"c":[2,1],"d":"é"}}}',
    '{"event_type":"t","source":"s","payload":{"a":9007199254740993}}',
    '{"event_type":"t","source":"s","payload":{"a":9007199254740992}}',
    '{"event_type":"t","source":"s","payload":{"a":1e400}}',
    '{"event_type":"t","source":"s","payload":{"a":1e401}}',
  ]) {
    const { id, deduplicated } = await post(other);
    t.equal(deduplicated, false, other);
    t.not(id, first.id);
  }
  await shown(app, 10);
  t.equal(eventsOf(await app.request('GET', '/inbox')).length, 10);
  const v1 = { event_type: 't', source: 's', payload: { a: 1, b: { c: [1, 2], d: 'é' } } };
  t.not(await app.send(v1), first.id, 'v1 merges nothing');
}

async function window(t: Test, start: Start): Promise<void> {
  const time = fakeTime();
  const app = await start(t, { DEDUP_WINDOW_SECONDS: '300' }, time);
  const post = async (): Promise<Json> =>
    (await app.request('POST', '/events', '{"event_type":"t","payload":{}}')).json;
  const first = await post();
  time.advance(299_000);
  t.match(await post(), { event_id: first['event_id'], deduplicated: true, timestamp: first['timestamp'] });
  time.advance(2_000);
  const second = await post();
  t.equal(second['deduplicated'], false, 'counted from the first, not from the last');
  t.not(second['event_id'], first['event_id']);
  t.match(await post(), { event_id: second['event_id'], deduplicated: true });
}

async function windowOff(t: Test, start: Start): Promise<void> {
  const app = await start(t, { DEDUP_WINDOW_SECONDS: '0' });
  const ids = new Set<unknown>();
  for (let i = 0; i < 3; i++) {
    const { json } = await app.request('POST', '/events', '{"event_type":"t","payload":{}}');
    t.equal(json['deduplicated'], false);
    ids.add(json['event_id']);
  }
  t.equal(ids.size, 3);
}

async function afterwards(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  for (const [kind, path, status] of [
    ['delivered', '/events/', 200],
    ['deleted', '/v1/events/', 404],
  ] as const) {
    const body = `{"event_type":"${kind}","payload":{}}`;
    const first = await app.request('POST', '/events', body);
    const id = String(first.json['event_id']);
    await app.request('DELETE', path + id);
    const again = await app.request('POST', '/events', body);
    t.match(again.json, { event_id: id, deduplicated: true, delivered: false });
    t.equal((await app.request('GET', `/events/${id}`)).status, status, kind);
    t.equal((await app.request('DELETE', `/events/${id}`)).status, status === 200 ? 204 : 404);
  }
  t.same(eventsOf(await app.request('GET', '/inbox')), [], 'nothing was brought back');
}

async function bothContracts(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  const payload = '{"n":1.10,"big":9007199254740993}';
  const created = await app.request('POST', '/events', `{"event_type":"t","payload":${payload}}`);
  const id = String(created.json['event_id']);
  const inV1 = await app.request('GET', `/v1/events/${id}`);
  t.match(inV1.json, {
    source: null,
    metadata: null,
    status: 'pending',
    created_at: created.json['timestamp'],
    acknowledged_at: null,
  });
  t.ok(inV1.text.includes(`"payload":${payload},`));

  const sent = await app.request('POST', '/v1/events', {
    source: 's',
    event_type: 't',
    payload: { fill: 'x'.repeat(300_000) },
    metadata: { priority: 'high' },
  });
  const other = String(sent.json['event_id']);
  await shown(app, 2);
  const inbox = await app.request('GET', '/inbox');
  t.same(
    eventsOf(inbox).map((event) => event['event_id']),
    [id, other],
    'one inbox',
  );
  t.match(eventsOf(inbox)[1], { source: 's', timestamp: sent.json['created_at'], delivered: false });

  await app.request('DELETE', `/events/${id}`);
  const delivered = (await app.request('GET', `/events/${id}`)).json;
  t.match((await app.request('GET', `/v1/events/${id}`)).json, {
    status: 'acknowledged',
    acknowledged_at: delivered['updated_at'],
  });
  t.equal((await app.request('POST', `/v1/events/${id}/ack`)).status, 409);
  const acknowledged = await app.request('POST', `/v1/events/${other}/ack`);
  t.match((await app.request('GET', `/events/${other}`)).json, {
    delivered: true,
    updated_at: acknowledged.json['acknowledged_at'],
  });
  await app.request('DELETE', `/v1/events/${id}`);
  t.equal((await app.request('GET', `/events/${id}`)).status, 404, 'v1 really deletes');
}

async function limits(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const exact = `{"a":"${'é'.repeat((262_144 - 8) / 2)}"}`;
  const created = await app.request('POST', '/events', `{"event_type":"t","payload":${exact}}`);
  t.equal(created.status, 200);
  const read = await app.request('GET', `/events/${String(created.json['event_id'])}`);
  t.ok(read.text.includes(`"payload":${exact},`));
  const over = await app.request(
    'POST',
    '/events',
    `{"event_type":"t","payload":${exact.replace('"}', 'x"}')}}`,
  );
  t.equal(over.status, 413);
  t.match(over.json, { status: 413, error_code: 'PAYLOAD_TOO_LARGE' });

  for (const [event, status] of [
    [{ event_type: '', payload: {} }, 400],
    [{ event_type: 'x', payload: {} }, 200],
    [{ event_type: 'x'.repeat(255), payload: {} }, 200],
    [{ event_type: 'x'.repeat(256), payload: {} }, 400],
    [{ event_type: 'x', source: '', payload: {} }, 400],
    [{ event_type: 'x', source: 'é'.repeat(255), payload: {} }, 200],
    [{ event_type: 'x', source: null, payload: {} }, 400],
    [{ event_type: 'x', payload: [] }, 400],
    [{ event_type: 'x', payload: 'text' }, 400],
    [{ event_type: 'x' }, 400],
    [{ payload: {} }, 400],
    [{ event_type: 'x', payload: {}, metadata: {} }, 400],
  ] as const) {
    const answer = await app.request('POST', '/events', event);
    t.equal(answer.status, status, JSON.stringify(event).slice(0, 60));
    if (status === 400) conforms(t, schemas.ErrorBody, answer);
  }
  const keyed = await app.request(
    'POST',
    '/events',
    { event_type: 'k', payload: {} },
    { 'idempotency-key': 'x' },
  );
  t.equal(keyed.status, 200, 'an Idempotency-Key is ignored here');
}

async function errors(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  for (const [method, path] of [
    ['POST', '/events'],
    ['GET', `/events/${UNKNOWN_ID}`],
    ['DELETE', `/events/${UNKNOWN_ID}`],
    ['GET', '/inbox'],
  ] as const) {
    const answer = await app.request(method, path, undefined, {
      'x-api-key': 'wrong',
      'x-request-id': 'r-9',
    });
    t.equal(answer.status, 401);
    conforms(t, schemas.ErrorBody, answer);
    t.match(answer.json, { status: 401, error_code: 'UNAUTHORIZED', correlation_id: 'r-9', details: null });
  }
  for (const method of ['GET', 'DELETE']) {
    const unknown = await app.request(method, `/events/${UNKNOWN_ID}`);
    t.equal(unknown.status, 404);
    t.match(unknown.json, { status: 404, error_code: 'NOT_FOUND' });
    const malformed = await app.request(method, '/events/not-a-uuid');
    t.equal(malformed.status, 400);
    t.match(malformed.json, {
      status: 400,
      error_code: 'VALIDATION_ERROR',
      details: [{ field: 'event_id' }],
    });
  }
  const allow = await app.request('PUT', '/events', {});
  t.equal(allow.status, 405);
  t.equal(allow.headers.get('allow'), 'POST');
  t.match(allow.json, { status: 405, error_code: 'METHOD_NOT_ALLOWED' });
}
