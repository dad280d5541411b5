import { randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import * as schemas from '../../src/http/v1/schemas.ts';
import type { Answer, Json } from '../support/app.ts';
import { v1Error } from '../support/app.ts';
import type { Shown, Start } from '../support/harness.ts';
import { conforms } from './conforms.ts';

const SEND = '/v1/events/batch';
const ACK = '/v1/events/ack';

interface Result {
  readonly index: number;
  readonly outcome: string;
  readonly event_id?: string;
  readonly created_at?: string;
  readonly acknowledged_at?: string;
  readonly error?: { readonly code: string; readonly message: string; readonly details?: unknown };
  readonly retryable?: boolean;
}

/** Calls of `/v1` for many events, on any store. */
export function v1BatchContract(t: Test, start: Start, shown: Shown): void {
  void t.test('many events in one call, in their order', (t) => sendsMany(t, start, shown));
  void t.test('a wrong event rejects itself alone', (t) => rejectsOne(t, start, shown));
  void t.test('a whole batch is repeated by its key', (t) => repeats(t, start, shown));
  void t.test('keys of events come before the key of the batch', (t) => ownKeys(t, start));
  void t.test('batches that are wrong as a whole store nothing', (t) => refused(t, start));
  void t.test('of a list that is given twice the last one counts', (t) => listedTwice(t, start, shown));
  void t.test('bodies of batches may have 4 MiB', (t) => large(t, start, shown));
  void t.test('an event larger than a body of its own rejects itself alone', (t) =>
    oversize(t, start, shown),
  );
  void t.test('many events are acknowledged in one call', (t) => acknowledges(t, start));
}

function results({ json }: Answer): Result[] {
  return json['results'] as Result[];
}

function event(n: number, more: Json = {}): Json {
  return { source: 'shop', event_type: 'order.paid', payload: { n }, ...more };
}

function events(count: number): Json[] {
  return Array.from({ length: count }, (_, n) => event(n));
}

async function sendsMany(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  const body = `{ "events" : [ {"source":"a","event_type":"t","payload":{ "n" : 1.10 }} ,\n${events(119)
    .map((one) => JSON.stringify(one))
    .join(',')}] }`;
  const answer = await app.request('POST', SEND, body);
  t.equal(answer.status, 200);
  conforms(t, schemas.CreatedMany, answer);
  const created = results(answer);
  t.same(
    created.map(({ index }) => index),
    Array.from({ length: 120 }, (_, n) => n),
  );
  t.same(answer.json['summary'], { created: 120 });
  const times = created.map(({ created_at }) => created_at);
  t.same(times, times.toSorted(), 'each later than the one before');
  await shown(app, 120);
  const listed: { event_id: string; created_at: string }[] = [];
  for (let next: string | null = ''; next !== null;) {
    const page = await app.request('GET', `/v1/inbox?limit=100${next === '' ? '' : `&cursor=${next}`}`);
    listed.push(...(page.json['events'] as typeof listed));
    next = (page.json['pagination'] as { next_cursor: string | null }).next_cursor;
  }
  t.same(
    listed.map(({ event_id, created_at }) => ({ event_id, created_at })),
    created.map(({ event_id, created_at }) => ({ event_id, created_at })),
  );
  const first = await app.request('GET', `/v1/events/${created[0]?.event_id ?? ''}`);
  t.match(first.text, '"payload":{ "n" : 1.10 }', 'the very text');
}

async function rejectsOne(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  const taken = await app.request('POST', '/v1/events', event(0), { 'idempotency-key': 'taken' });
  t.equal(taken.status, 201);
  const answer = await app.request('POST', SEND, {
    events: [
      event(1),
      { source: 'shop' },
      event(2, { payload: { k: 'x'.repeat(409_600) } }),
      event(3, { metadata: { idempotency_key: 'taken' } }),
      'no event',
      event(4, { extra: 1, source: '' }),
      event(5),
    ],
  });
  t.equal(answer.status, 207);
  conforms(t, schemas.CreatedMany, answer);
  t.same(answer.json['summary'], { created: 2, rejected: 5 });
  const told = results(answer);
  t.same(
    told.map(({ outcome, error, retryable }) => [outcome, error?.code, retryable]),
    [
      ['created', undefined, undefined],
      ['rejected', 'VALIDATION_ERROR', false],
      ['rejected', 'PAYLOAD_TOO_LARGE', false],
      ['rejected', 'IDEMPOTENCY_KEY_REUSED', false],
      ['rejected', 'VALIDATION_ERROR', false],
      ['rejected', 'VALIDATION_ERROR', false],
      ['created', undefined, undefined],
    ],
  );
  t.same(told[1]?.error?.details, [
    { field: 'event_type', message: 'is required' },
    { field: 'payload', message: 'is required' },
  ]);
  await shown(app, 3);
}

async function repeats(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  const send = (key: string, body: Json) => app.request('POST', SEND, body, { 'idempotency-key': key });
  const first = await send('batch-1', { events: events(3) });
  t.equal(first.status, 200);
  const again = await send('batch-1', { events: events(3) });
  t.equal(again.status, 200);
  t.same(again.json['summary'], { duplicate: 3 });
  const withoutOutcome = (answer: Answer) =>
    results(answer).map(({ event_id, created_at }) => ({ event_id, created_at }));
  t.same(withoutOutcome(again), withoutOutcome(first));
  const more = await send('batch-1', { events: [...events(3), event(9)] });
  t.same(more.json['summary'], { duplicate: 3, created: 1 });
  const other = await send('batch-1', { events: [event(7), event(1)] });
  t.equal(other.status, 207);
  t.same(
    results(other).map(({ outcome, error }) => [outcome, error?.code]),
    [
      ['rejected', 'IDEMPOTENCY_KEY_REUSED'],
      ['duplicate', undefined],
    ],
  );
  // The key of a single event is another one, whatever it looks like.
  const single = await app.request('POST', '/v1/events', event(0), { 'idempotency-key': 'batch-1/0' });
  t.equal(single.headers.get('idempotent-replayed'), null);
  await shown(app, 5);
  for (const key of [' ', 'ü', 'x'.repeat(256)]) {
    const answer = await send(key === 'ü' ? Buffer.from(key).toString('latin1') : key, { events: events(1) });
    if (key !== ' ') t.equal(answer.status, 400, key.slice(0, 3));
  }
}

async function ownKeys(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const keyed = (n: number, key: string) => event(n, { metadata: { idempotency_key: key } });
  const single = await app.request('POST', '/v1/events', event(1), { 'idempotency-key': 'mine' });
  const answer = await app.request(
    'POST',
    SEND,
    { events: [event(0), keyed(1, 'mine'), keyed(2, 'new'), keyed(2, 'new')] },
    { 'idempotency-key': 'batch' },
  );
  t.equal(answer.status, 200);
  const told = results(answer);
  t.same(
    told.map(({ outcome }) => outcome),
    ['created', 'duplicate', 'created', 'duplicate'],
  );
  t.equal(told[1]?.event_id, single.json['event_id']);
  t.equal(told[3]?.event_id, told[2]?.event_id);
}

async function refused(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const one = JSON.stringify(event(1));
  const wrong: Record<string, [body: unknown, field: string]> = {
    'no body': [undefined, 'body'],
    'no JSON': [`{"events":[${one},]}`, 'body'],
    'JSON that ends too early': [`{"events":[${one}`, 'body'],
    'no JSON in an event': [`{"events":[${one},{"source":"a\\q"}]}`, 'body'],
    'no JSON behind it': [`{"events":[${one}]} x`, 'body'],
    'no object': [`[${one}]`, 'body'],
    'no list': [{ events: { 0: event(1) } }, 'events'],
    'no member': [{}, 'events'],
    'an empty list': [{ events: [] }, 'events'],
    'an unknown member': [{ events: [event(1)], more: 1 }, 'more'],
    'too many': [{ events: events(501) }, 'events'],
  };
  for (const [name, [body, field]] of Object.entries(wrong)) {
    const answer = await app.request('POST', SEND, body);
    t.equal(answer.status, 400, name);
    t.match(v1Error(answer).details, [{ field }], name);
  }
  const misplaced = `{"events":[${one},{"a":1 2}]}`;
  t.match(
    v1Error(await app.request('POST', SEND, misplaced)).message,
    `at position ${String(misplaced.indexOf('2}'))}`,
    'counted in the whole body',
  );
  t.equal((await app.request('POST', SEND, one, { 'content-type': 'text/plain' })).status, 415);
  t.equal((await app.request('GET', SEND)).status, 405);
  t.same((await app.request('GET', '/v1/inbox')).json['events'], []);
}

async function large(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  const limit = 4 * 1024 * 1024;
  const body = JSON.stringify({
    events: Array.from({ length: 10 }, (_, n) => event(n, { payload: { k: 'x'.repeat(400_000) } })),
  });
  const full = body.slice(0, -1) + ' '.repeat(limit - body.length) + '}';
  const answer = await app.request('POST', SEND, full);
  t.equal(answer.status, 200);
  t.same(answer.json['summary'], { created: 10 });
  const tooLarge = await app.request('POST', SEND, ` ${full}`);
  t.equal(tooLarge.status, 413);
  t.match(v1Error(tooLarge).message, '4194304');
  t.equal((await app.request('POST', '/v1/events', full)).status, 413, 'others take what they took');
  await shown(app, 10);
}

async function listedTwice(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  const [a, b] = [JSON.stringify(event(1)), JSON.stringify(event(2))];
  for (const first of [`[${a},${a}]`, '[]', '1', '{"0":1}']) {
    const answer = await app.request('POST', SEND, `{"events":${first},"\\u0065vents":[${b}]}`);
    t.equal(answer.status, 200, first);
    t.same(answer.json['summary'], { created: 1 }, first);
  }
  for (const last of ['[]', '1']) {
    const answer = await app.request('POST', SEND, `{"events":[${a}],"events":${last}}`);
    t.match(v1Error(answer).details, [{ field: 'events' }], last);
  }
  await shown(app, 4);
}

async function oversize(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  const blown = (length: number) => {
    const text = JSON.stringify(event(1));
    return `${text.slice(0, -1)}${' '.repeat(length - text.length)}}`;
  };
  const [first, last] = [JSON.stringify(event(0)), JSON.stringify(event(2))];
  const items = [first, blown(524_288), blown(524_289), `{"source":"${'é'.repeat(262_140)}"}`, last];
  const answer = await app.request('POST', SEND, `{"events":[${items.join(',')}]}`);
  t.equal(answer.status, 207);
  const tooLarge = ['rejected', 'PAYLOAD_TOO_LARGE', 'the body is larger than 524288 bytes'];
  const created = ['created', undefined, undefined];
  t.same(
    results(answer).map(({ outcome, error }) => [outcome, error?.code, error?.message]),
    [created, created, tooLarge, tooLarge, created],
  );
  await shown(app, 3);
}

async function acknowledges(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const sent = results(await app.request('POST', SEND, { events: events(4) }));
  const [a, b, c, d] = sent.map(({ event_id }) => event_id) as [string, string, string, string];
  const before = await app.request('POST', `/v1/events/${b}/ack`);
  const unknown = randomUUID();
  const answer = await app.request('POST', ACK, { event_ids: [c.toUpperCase(), b, unknown, a] });
  t.equal(answer.status, 207);
  conforms(t, schemas.AcknowledgedMany, answer);
  t.same(answer.json['summary'], { acknowledged: 2, already_acknowledged: 1, not_found: 1 });
  const told = results(answer);
  t.same(
    told.map(({ outcome, event_id }) => [outcome, event_id]),
    [
      ['acknowledged', c],
      ['already_acknowledged', b],
      ['not_found', unknown],
      ['acknowledged', a],
    ],
  );
  t.equal(told[1]?.acknowledged_at, before.json['acknowledged_at']);
  t.match(told[2], { error: { code: 'NOT_FOUND' }, retryable: false });
  const again = await app.request('POST', ACK, { event_ids: [a, c] });
  t.equal(again.status, 200, 'already acknowledged is good');
  t.same(again.json['summary'], { already_acknowledged: 2 });
  t.equal((await app.request('GET', `/v1/events/${d}`)).json['status'], 'pending');

  const wrong: [body: Json, field: string][] = [
    [{}, 'event_ids'],
    [{ event_ids: [] }, 'event_ids'],
    [{ event_ids: [d, 'no-uuid'] }, 'event_ids.1'],
    [{ event_ids: [d, unknown, d.toUpperCase()] }, 'event_ids.2'],
    [{ event_ids: Array.from({ length: 501 }, () => randomUUID()) }, 'event_ids'],
    [{ event_ids: [d], more: 1 }, 'more'],
  ];
  for (const [body, field] of wrong) {
    const refused = await app.request('POST', ACK, body);
    t.equal(refused.status, 400, field);
    t.match(v1Error(refused).details, [{ field }]);
  }
  t.equal((await app.request('GET', `/v1/events/${d}`)).json['status'], 'pending', 'nothing was done');
}
