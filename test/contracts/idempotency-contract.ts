import type { Test } from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import type { Answer, TestApp } from '../support/app.ts';
import { v1Error } from '../support/app.ts';
import { isOneFirst, untilAnswered } from '../support/harness.ts';
import type { ServiceHarness, Start } from '../support/harness.ts';
import { sendRaw } from '../support/raw.ts';
import { fakeTime } from '../support/time.ts';

/** Idempotency keys of `/v1` over HTTP, on any store. */
export function idempotencyContract(t: Test, { start }: ServiceHarness): void {
  void t.test('the same key with the same content replays the first reply', (t) => replay(t, start));
  void t.test('the same key with other content is 422', (t) => reuse(t, start));
  void t.test('the key in the header, in metadata, or both', (t) => places(t, start));
  void t.test('a key is remembered as long as an event lives', (t) => lifetime(t, start));
  void t.test('acknowledged or deleted meanwhile', (t) => afterwards(t, start));
  void t.test('an invalid key', (t) => invalidKeys(t, start));
  void t.test('64 requests at once with one key are one event', (t) => concurrency(t, start));
}

const EVENT = { source: 's', event_type: 't', payload: { a: 1 } };

function create(app: TestApp, key: string | undefined, event: unknown = EVENT): Promise<Answer> {
  return app.request('POST', '/v1/events', event, key === undefined ? {} : { 'idempotency-key': key });
}

function isReplayOf(t: Test, answer: Answer, first: Answer): void {
  t.equal(answer.status, 201, answer.text);
  const { request_id: ownId, ...reply } = answer.json;
  const { request_id: firstId, ...firstReply } = first.json;
  t.same(reply, firstReply);
  t.not(ownId, firstId);
  t.equal(answer.headers.get('idempotent-replayed'), 'true');
  t.equal(answer.headers.get('location'), first.headers.get('location'));
}

async function replay(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const first = await create(app, 'k-1');
  t.equal(first.status, 201);
  t.equal(first.headers.get('idempotent-replayed'), null);
  isReplayOf(t, await create(app, 'k-1'), first);
  const spelled = '{"payload":{"\\u0061":1.0},"event_type":"t","source":"s"}';
  isReplayOf(t, await create(app, 'k-1', spelled), first);
  const other = await create(app, 'k-2');
  t.not(other.json['event_id'], first.json['event_id'], 'another key is another event');
  const unkeyed = [await create(app, undefined), await create(app, undefined)];
  t.not(unkeyed[0]?.json['event_id'], unkeyed[1]?.json['event_id'], 'without a key nothing is merged');
}

async function reuse(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const first = await create(app, 'k', { ...EVENT, metadata: { correlation_id: 'c' } });
  for (const other of [
    { ...EVENT, metadata: { correlation_id: 'c' }, payload: { a: 2 } },
    { ...EVENT, metadata: { correlation_id: 'c' }, payload: { a: '1' } },
    { ...EVENT, metadata: { correlation_id: 'c' }, source: 's2' },
    { ...EVENT, metadata: { correlation_id: 'c' }, event_type: 't2' },
    { ...EVENT, metadata: { correlation_id: 'd' } },
    { ...EVENT, metadata: { correlation_id: 'c', priority: 'high' } },
    EVENT,
  ]) {
    const answer = await create(app, 'k', other);
    t.equal(answer.status, 422, JSON.stringify(other));
    t.equal(v1Error(answer).code, 'IDEMPOTENCY_KEY_REUSED');
  }
  isReplayOf(
    t,
    await create(app, 'k', { ...EVENT, metadata: { priority: 'normal', correlation_id: 'c' } }),
    first,
  );
}

async function places(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const inMetadata = { ...EVENT, metadata: { idempotency_key: 'k' } };
  const first = await create(app, undefined, inMetadata);
  isReplayOf(t, await create(app, undefined, inMetadata), first);
  isReplayOf(t, await create(app, 'k', inMetadata), first);
  isReplayOf(t, await create(app, 'k'), first);
  const differing = await create(app, 'other', inMetadata);
  t.equal(differing.status, 400);
  t.match(v1Error(differing).message, /^metadata\.idempotency_key: differs from the Idempotency-Key header/);
  const read = await app.request('GET', `/v1/events/${String(first.json['event_id'])}`);
  t.same(read.json['metadata'], { idempotency_key: 'k', priority: 'normal' }, 'metadata is kept as it came');
}

async function lifetime(t: Test, start: Start): Promise<void> {
  const time = fakeTime();
  const app = await start(t, { EVENT_TTL_SECONDS: '600' }, time);
  const first = await create(app, 'k');
  time.advance(598_000);
  isReplayOf(t, await create(app, 'k'), first);
  time.advance(3_000);
  const second = await create(app, 'k', { ...EVENT, payload: {} });
  t.equal(second.status, 201);
  t.not(second.json['event_id'], first.json['event_id']);
  t.equal(second.headers.get('idempotent-replayed'), null);
}

async function afterwards(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const first = await create(app, 'k');
  const path = `/v1/events/${String(first.json['event_id'])}`;
  await app.request('POST', `${path}/ack`);
  isReplayOf(t, await create(app, 'k'), first);
  t.equal((await app.request('GET', path)).json['status'], 'acknowledged');
  await app.request('DELETE', path);
  isReplayOf(t, await create(app, 'k'), first);
  t.equal((await app.request('GET', path)).status, 404, 'and nothing is brought back');
  t.same((await app.request('GET', '/v1/inbox')).json['events'], []);
}

async function invalidKeys(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  for (const [key, message] of [
    ['', 'Idempotency-Key: must not be empty'],
    ['x'.repeat(256), 'Idempotency-Key: must have at most 255 characters'],
  ] as const) {
    const answer = await create(app, key);
    t.equal(answer.status, 400);
    t.equal(v1Error(answer).message, message);
  }
  const body = JSON.stringify(EVENT);
  for (const byte of [0xfe, 0xff]) {
    // Two keys that would become one.
    const head = `POST /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: ${LOCAL_KEY}\r\nContent-Length: ${String(body.length)}\r\n`;
    const key = Buffer.concat([
      Buffer.from('Idempotency-Key: q'),
      Buffer.from([byte]),
      Buffer.from('1\r\n\r\n'),
    ]);
    const { text } = await sendRaw(app.url, [Buffer.concat([Buffer.from(head), key, Buffer.from(body)])]);
    t.match(text, /^HTTP\/1.1 400 /);
    t.match(text, 'Idempotency-Key: must be printable ASCII');
  }
  t.equal((await create(app, 'x'.repeat(255))).status, 201);
  t.equal((await create(app, 'any, thing "goes" {here} ~')).status, 201);
}

async function concurrency(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const asked = await Promise.all(Array.from({ length: 64 }, () => untilAnswered(() => create(app, 'k'))));
  const answers = asked.map(({ answer }) => answer);
  t.same(new Set(answers.map(({ status }) => status)), new Set([201]));
  t.equal(new Set(answers.map(({ json }) => json['event_id'])).size, 1);
  const fresh = answers.filter(({ headers }) => headers.get('idempotent-replayed') === null);
  isOneFirst(
    t,
    fresh.length,
    asked.reduce((sum, { refused }) => sum + refused, 0),
  );
}
