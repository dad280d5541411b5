import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import * as schemas from '../../src/http/v1/schemas.ts';
import type { Answer, Json, TestApp } from '../support/app.ts';
import type { Start } from '../support/harness.ts';
import { conforms } from './conforms.ts';
import { beside } from '../support/beside.ts';

const LEASE = '/v1/inbox/lease';

/** Waiting in `/v1`, on any store, over sockets. Its tests wait beside each other. */
export function v1WaitContract(t: Test, { start }: { readonly start: Start }): void {
  const tests = {
    'waiting: a lease call gets what comes': leaseWaits,
    'waiting: one event is for one of those who wait': oneForOne,
    'waiting: events that are free again wake those who wait': freeAgain,
    'waiting: what ends a wait, and what needs none': ends,
    'waiting: pages of the inbox': pagesWait,
    'waiting: who has gone takes no event along': gone,
    'waiting: a call that is repeated': repeated,
    'waiting: a large answer after a long wait': large,
    'waiting: MAX_WAITS_PER_KEY': tooMany,
    'waiting: the reply begins after 4 s': begins,
    'ETag: 304 as long as a first page shows the same': unchanged,
  };
  const state = beside(t);
  for (const [name, test] of Object.entries(tests)) state(name, (t) => test(t, start));
}

const lease = (app: TestApp, body: Json = {}): Promise<Answer> => app.request('POST', LEASE, body);

function sources({ json }: Answer): string[] {
  return (json['events'] as { source: string }[]).map(({ source }) => source);
}

/** Long enough for a request to have begun to wait, also on an emulator on a busy machine. */
const BEGUN_MS = 300;

async function leaseWaits(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const waiting = lease(app, { wait_seconds: 20 });
  await sleep(BEGUN_MS);
  const id = await app.send({ source: 'came' });
  const answer = await waiting;
  t.equal(answer.status, 200);
  conforms(t, schemas.Leases, answer);
  t.match(answer.json, { events: [{ event_id: id, lease: { attempt: 1 } }], backlog: { empty: false } });
  const other = lease(app, { wait_seconds: 20, source: 'wanted' });
  await sleep(BEGUN_MS);
  await app.send({ source: 'another' });
  await app.send({ source: 'wanted' });
  t.same(sources(await other), ['wanted']);
}

async function oneForOne(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const answers = [0, 1, 2].map(async () => sources(await lease(app, { wait_seconds: 3 })));
  await sleep(BEGUN_MS);
  await app.send({ source: 'one' });
  t.same((await Promise.all(answers)).flat(), ['one']);
}

async function freeAgain(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const id = await app.send();
  const held = await lease(app, { wait_seconds: 10, lease_seconds: 1 });
  t.match(held.json['events'], [{ event_id: id }]);
  const next = await lease(app, { wait_seconds: 20 });
  t.match(next.json['events'], [{ event_id: id, lease: { attempt: 2 } }], 'a lease has run out');
  const [{ lease: { token } } = { lease: { token: '' } }] = next.json['events'] as {
    lease: { token: string };
  }[];
  const waiting = lease(app, { wait_seconds: 20 });
  await sleep(BEGUN_MS);
  await app.request('POST', '/v1/inbox/settle', { release: [{ token, failed: false }] });
  t.match((await waiting).json['events'], [{ event_id: id, lease: { attempt: 2 } }], 'one was given back');
}

async function ends(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const from = performance.now();
  const late = await lease(app, { wait_seconds: 1 });
  t.ok(performance.now() - from >= 999, 'it has waited');
  t.match(late.json, { events: [], backlog: { empty: true, pending: 0, is_lower_bound: false } });

  const failed = await lease(app, { wait_seconds: 20, settle: { ack: ['no-token'] } });
  t.match(failed.json, { events: [], settled: [{ outcome: 'lease_malformed' }] }, 'a settlement has failed');

  await app.send();
  const first = await lease(app, { wait_seconds: 20 });
  const [{ lease: { token } } = { lease: { token: '' } }] = first.json['events'] as {
    lease: { token: string };
  }[];
  const settling = lease(app, { wait_seconds: 1, settle: { ack: [token] } });
  t.match((await settling).json, { events: [], settled: [{ outcome: 'acknowledged' }] });
  t.ok(performance.now() - from < 20_000);

  for (const wait_seconds of [-1, 21, 0.5, '1']) {
    t.equal((await lease(app, { wait_seconds })).status, 400);
  }
  t.equal((await app.request('GET', '/v1/inbox?wait_seconds=21')).status, 400);
}

async function pagesWait(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const page = (query: string) => app.request('GET', `/v1/inbox?${query}`);
  const both = [page('wait_seconds=20'), page('wait_seconds=20&source=one')];
  await sleep(BEGUN_MS);
  await app.send({ source: 'one' });
  for (const answer of await Promise.all(both)) {
    conforms(t, schemas.InboxPage, answer);
    t.same(sources(answer), ['one'], 'each of them sees it');
  }
  const from = performance.now();
  const other = await page('wait_seconds=1&source=other');
  t.same(sources(other), []);
  t.ok(performance.now() - from >= 999);
  await app.send({ source: 'two' });
  const first = await page('limit=1&wait_seconds=20');
  t.same(sources(first), ['one'], 'with something there it does not wait');
  const { next_cursor: cursor } = first.json['pagination'] as { next_cursor: string };
  const last = await page(`limit=1&wait_seconds=20&cursor=${encodeURIComponent(cursor)}`);
  t.same(sources(last), ['two']);
}

async function gone(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const leaving = new AbortController();
  const body = JSON.stringify({ wait_seconds: 20 });
  const headers = { 'x-api-key': LOCAL_KEY, 'content-type': 'application/json' };
  const request = fetch(app.url + LEASE, { method: 'POST', body, headers, signal: leaving.signal });
  await sleep(BEGUN_MS);
  leaving.abort();
  await t.rejects(request);
  await sleep(50);
  await app.send();
  t.match((await lease(app, { wait_seconds: 10 })).json['events'], [{ lease: { attempt: 1 } }]);
}

async function repeated(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const keyed = (key: string) => app.request('POST', LEASE, { wait_seconds: 20 }, { 'idempotency-key': key });
  const both = [keyed('twice'), keyed('twice')];
  await sleep(BEGUN_MS);
  const others = lease(app, { wait_seconds: 1 });
  const id = await app.send();
  const [first, second] = await Promise.all(both);
  t.match(first?.json['events'], [{ event_id: id, lease: { attempt: 1 } }]);
  t.same(second?.json['events'], first?.json['events'], 'a call that waits twice has one answer');
  t.same((await others).json['events'], []);
  const again = await keyed('twice');
  t.same(again.json['events'], first?.json['events']);
  const [{ lease: { token } } = { lease: { token: '' } }] = first?.json['events'] as {
    lease: { token: string };
  }[];
  await app.request('POST', '/v1/inbox/settle', { ack: [token] });
  const from = performance.now();
  t.same((await keyed('twice')).json['events'], []);
  t.ok(performance.now() - from < 10_000, 'it does not wait for what cannot come');
}

async function large(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const waiting = lease(app, { wait_seconds: 20, limit: 100, source: 'large' });
  await sleep(4_500);
  const payload = { text: 'é'.repeat(200_000) };
  const event = { source: 'large', event_type: 't', payload };
  const sent = await app.request('POST', '/v1/events/batch', { events: [event, event, event] });
  t.equal(sent.status, 200);
  const { json } = await waiting;
  const events = json['events'] as { payload: object }[];
  t.ok(events.length > 0);
  for (const one of events) t.same(one.payload, payload);
}

async function tooMany(t: Test, start: Start): Promise<void> {
  const app = await start(t, { MAX_WAITS_PER_KEY: '2' });
  const waiting = [lease(app, { wait_seconds: 2 }), app.request('GET', '/v1/inbox?wait_seconds=2')];
  await sleep(BEGUN_MS);
  const refused = await lease(app, { wait_seconds: 1 });
  t.equal(refused.status, 429);
  t.match(refused.json, { error: { code: 'RATE_LIMITED' } });
  t.equal(refused.headers.get('retry-after'), '1');
  t.equal((await lease(app)).status, 200, 'without a wait it is none of them');
  t.same(
    (await Promise.all(waiting)).map(({ status }) => status),
    [200, 200],
  );
  t.equal((await lease(app, { wait_seconds: 1 })).status, 200, 'there is room again');
}

async function begins(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const { hostname, port } = new URL(app.url);
  const socket = connect(Number(port), hostname);
  t.teardown(() => socket.destroy());
  let text = '';
  socket.on('data', (data) => (text += data.toString()));
  const from = performance.now();
  const head = `Host: here\r\nX-API-Key: ${LOCAL_KEY}\r\n`;
  socket.write(`GET /v1/inbox?wait_seconds=20 HTTP/1.1\r\n${head}\r\n`);
  await until(() => text.includes('1\r\n '));
  const ms = performance.now() - from;
  t.ok(ms > 3_500 && ms < 7_000, `the reply begins after ${String(ms)} ms`);
  t.match(text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*content-type: application\/json/);
  t.notMatch(text, /event_id/);
  const id = await app.send();
  await until(() => text.endsWith('\r\n0\r\n\r\n'));
  const [, chunk = ''] = /\r\n\r\n[\s\S]*?(\{.*\})\r\n0\r\n/.exec(text) ?? [];
  t.match(JSON.parse(chunk), { events: [{ event_id: id }] });
  text = '';
  socket.write(`GET /v1/health HTTP/1.1\r\n${head}\r\n`);
  await until(() => text.includes('healthy'));
  t.match(text, /^HTTP\/1\.1 200 OK/, 'the connection goes on');
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue() && tries < 1_000; tries++) await sleep(10);
}

async function unchanged(t: Test, start: Start): Promise<void> {
  const app = await start(t);
  const page = (query = '', tag?: string) =>
    app.request('GET', `/v1/inbox${query}`, undefined, tag === undefined ? {} : { 'if-none-match': tag });
  const id = await app.send();
  const first = await page();
  const tag = first.headers.get('etag') ?? '';
  t.match(tag, /^W\/"[\w-]{22}"$/);
  t.equal(first.headers.get('cache-control'), 'private, no-cache');
  const same = await page('', tag);
  t.equal(same.status, 304);
  t.equal(same.text, '');
  t.equal(same.headers.get('etag'), tag);
  t.equal((await page('?wait_seconds=20', tag)).status, 304, 'there is something, and it has not changed');
  t.equal((await page('', '"other"')).status, 200);
  await app.request('POST', `/v1/events/${id}/ack`);
  const empty = await page('', tag);
  t.equal(empty.status, 200);
  const waiting = page('?wait_seconds=20', empty.headers.get('etag') ?? '');
  await sleep(BEGUN_MS);
  await app.send();
  t.equal((await waiting).status, 200, 'an empty page that has not changed waits');
  const { next_cursor: cursor } = first.json['pagination'] as { next_cursor: string | null };
  t.equal(cursor, null);
  await app.send();
  const walk = (await page('?limit=1')).json['pagination'] as { next_cursor: string };
  const second = await page(`?limit=1&cursor=${encodeURIComponent(walk.next_cursor)}`, '*');
  t.equal(second.status, 200, 'further pages have none');
  t.equal(second.headers.get('etag'), null);
}
