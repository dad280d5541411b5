import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import * as schemas from '../../src/http/v1/schemas.ts';
import { LEASE_SKEW } from '../../src/store/lease-store.ts';
import type { Answer, Json, TestApp } from '../support/app.ts';
import { v1Error } from '../support/app.ts';
import type { Shown, Start } from '../support/harness.ts';
import { fakeTime } from '../support/time.ts';
import { conforms } from './conforms.ts';

const LEASE = '/v1/inbox/lease';
const SETTLE = '/v1/inbox/settle';
const QUARANTINE = '/v1/quarantine';
const REDRIVE = '/v1/quarantine/redrive';

interface Leased {
  readonly event_id: string;
  readonly source: string;
  readonly lease: {
    readonly token: string;
    readonly expires_at: string;
    readonly attempt: number;
    readonly last_reason: string | null;
  };
}

interface Result {
  readonly index: number;
  readonly action: string;
  readonly outcome: string;
  readonly event_id?: string;
  readonly error?: { readonly code: string };
  readonly retryable?: boolean;
}

/** Leases, settlements and the quarantine of `/v1`, on any store. */
export function v1LeaseContract(t: Test, start: Start, shown: Shown): void {
  void t.test('leases: a consumer gets events that others do not get', (t) => leases(t, start, shown));
  void t.test('leases: each kind of settlement, in one call', (t) => settles(t, start, shown));
  void t.test('leases: a call settles first, and is 200 whatever comes of it', (t) =>
    together(t, start, shown),
  );
  void t.test('leases: a call with a key gets its leases again', (t) => repeats(t, start, shown));
  void t.test('leases: what has run out is there again', (t) => runsOut(t, start, shown));
  void t.test('leases: acknowledging by id', (t) => byId(t, start, shown));
  void t.test('leases: tokens of others', (t) => foreign(t, start, shown));
  void t.test('leases: calls that are wrong do nothing', (t) => refused(t, start, shown));
  void t.test('quarantine: reject, list, redrive', (t) => quarantine(t, start, shown));
  void t.test('quarantine: MAX_ATTEMPTS', (t) => attempts(t, start, shown));
}

/** Sends so many events, of sources that count from 0. */
async function add(app: TestApp, count: number, shown: Shown): Promise<string[]> {
  const events = Array.from({ length: count }, (_, n) => ({
    ...{ source: String(n), event_type: n % 2 === 0 ? 'even' : 'odd' },
    payload: { n },
  }));
  const { json } = await app.request('POST', '/v1/events/batch', { events });
  await shown(app, count);
  return (json['results'] as { event_id: string }[]).map(({ event_id }) => event_id);
}

/** Leases as a consumer does, who asks again while an index lags. */
async function take(app: TestApp, wanted: number, body: Json = {}): Promise<Leased[]> {
  const found: Leased[] = [];
  for (let tries = 0; found.length < wanted && tries < 400; tries++) {
    if (tries > 0) await sleep(25);
    const answer = await app.request('POST', LEASE, { limit: wanted - found.length, ...body });
    found.push(...((answer.json['events'] ?? []) as Leased[]));
  }
  return found;
}

function results({ json }: Answer, member = 'results'): Result[] {
  return json[member] as Result[];
}

function outcomes(answer: Answer, member?: string): string[] {
  return results(answer, member).map(({ outcome }) => outcome);
}

async function leases(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  const none = await app.request('POST', LEASE, {});
  t.equal(none.status, 200);
  t.same(none.json['events'], []);
  t.same(none.json['backlog'], { empty: true, pending: 0, is_lower_bound: false });
  const sent = await add(app, 5, shown);
  const from = Date.now();
  const answer = await app.request('POST', LEASE, { limit: 2, lease_seconds: 30 });
  t.equal(answer.status, 200);
  conforms(t, schemas.Leases, answer);
  t.same(answer.json['settled'], []);
  const first = answer.json['events'] as Leased[];
  t.ok(first.length > 0);
  for (const { event_id, lease } of first) {
    t.equal(lease.attempt, 1);
    t.equal(lease.last_reason, null);
    const runs = Date.parse(lease.expires_at) - from;
    t.ok(runs > 25_000 && runs < 60_000, `it runs ${String(runs)} ms`);
    const read = await app.request('GET', `/v1/events/${event_id}`);
    t.equal(read.json['status'], 'pending');
  }
  const rest = await take(app, 5 - first.length);
  t.same([...first, ...rest].map(({ event_id }) => event_id).sort(), [...sent].sort());
  const after = await app.request('POST', LEASE, {});
  t.same(after.json['events'], []);
  const { empty, pending, is_lower_bound } = after.json['backlog'] as {
    empty: boolean;
    pending: number;
    is_lower_bound: boolean;
  };
  t.equal(empty, false, 'all of them are leased');
  t.ok(pending === 5 || (pending < 5 && is_lower_bound), `${String(pending)} pending`);
  const inbox = await app.request('GET', '/v1/inbox');
  conforms(t, schemas.InboxPage, inbox);
  const listed = inbox.json['events'] as { event_id: string; leased_until: string | null }[];
  const until = new Map([...first, ...rest].map(({ event_id, lease }) => [event_id, lease.expires_at]));
  t.same(new Map(listed.map(({ event_id, leased_until }) => [event_id, leased_until])), until);
  t.notMatch(inbox.text, 'token');
}

async function settles(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  await add(app, 5, shown);
  const [a, b, c, d, e] = (await take(app, 5)).map(({ lease }) => lease.token) as [
    string,
    string,
    string,
    string,
    string,
  ];
  const body = {
    extend: [{ token: a, lease_seconds: 120 }],
    reject: [{ token: b, reason: 'no such order' }],
    release: [
      { token: c, delay_seconds: 3_600, reason: 'later' },
      { token: d, failed: false },
    ],
    ack: [e],
  };
  const answer = await app.request('POST', SETTLE, body);
  t.equal(answer.status, 200);
  conforms(t, schemas.SettledMany, answer);
  t.same(
    results(answer).map(({ index, action, outcome }) => [index, action, outcome]),
    [
      [0, 'ack', 'acknowledged'],
      [1, 'release', 'released'],
      [2, 'release', 'released'],
      [3, 'reject', 'quarantined'],
      [4, 'extend', 'extended'],
    ],
  );
  t.same(answer.json['summary'], { acknowledged: 1, released: 2, quarantined: 1, extended: 1 });
  const again = await app.request('POST', SETTLE, {
    ack: [e],
    release: [{ token: c }],
    reject: [{ token: b }],
  });
  t.equal(again.status, 207);
  conforms(t, schemas.SettledMany, again);
  t.same(outcomes(again), ['acknowledged', 'lease_lost', 'lease_lost']);
  t.match(results(again)[1], { error: { code: 'LEASE_LOST' }, retryable: false });
  const [back] = await take(app, 1);
  t.match(back, { lease: { attempt: 1 } }, 'what was given back is not counted');
}

async function together(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  await add(app, 2, shown);
  const [first] = await take(app, 1);
  const token = first?.lease.token ?? '';
  const answer = await app.request('POST', LEASE, {
    limit: 5,
    settle: { ack: [token, 'no token'], release: [] },
  });
  t.equal(answer.status, 200);
  conforms(t, schemas.Leases, answer);
  t.same(outcomes(answer, 'settled'), ['acknowledged', 'lease_malformed']);
  t.match(results(answer, 'settled')[1], { error: { code: 'LEASE_MALFORMED' } });
  const read = await app.request('GET', `/v1/events/${first?.event_id ?? ''}`);
  t.equal(read.json['status'], 'acknowledged');
}

async function repeats(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  await add(app, 4, shown);
  const call = (key: string) => app.request('POST', LEASE, { limit: 2 }, { 'idempotency-key': key });
  const first = await call('worker-1');
  t.equal((first.json['events'] as unknown[]).length, 2);
  t.same((await call('worker-1')).json['events'], first.json['events'], 'the same leases');
  const other = (await call('worker-2')).json['events'] as Leased[];
  const mine = (first.json['events'] as Leased[]).map(({ event_id }) => event_id);
  t.ok(other.every(({ event_id }) => !mine.includes(event_id)));
  t.equal((await call('')).status, 400);
}

async function runsOut(t: Test, start: Start, shown: Shown): Promise<void> {
  const time = fakeTime();
  const app = await start(t, {}, time);
  await add(app, 1, shown);
  const [first] = await take(app, 1, { lease_seconds: 1 });
  time.advance(1_000 + LEASE_SKEW / 1_000 + 100);
  const token = first?.lease.token ?? '';
  const late = await app.request('POST', SETTLE, {
    release: [{ token }],
  });
  t.same(outcomes(late), ['lease_lost']);
  const extended = await app.request('POST', SETTLE, { extend: [{ token, lease_seconds: 5 }] });
  t.same(outcomes(extended), ['lease_lost']);
  const [second] = await take(app, 1);
  t.match(second, { event_id: first?.event_id, lease: { attempt: 2 } });
  t.same(outcomes(await app.request('POST', SETTLE, { ack: [token] })), ['lease_lost']);
  const acknowledged = await app.request('POST', SETTLE, { ack: [second?.lease.token] });
  t.same(outcomes(acknowledged), ['acknowledged']);
}

async function byId(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  await add(app, 3, shown);
  const [one, two, three] = (await take(app, 3)) as [Leased, Leased, Leased];
  const single = await app.request('POST', `/v1/events/${one.event_id}/ack`);
  t.equal(single.status, 200, 'as ever');
  const many = await app.request('POST', '/v1/events/ack', { event_ids: [one.event_id, two.event_id] });
  t.equal(many.status, 207);
  conforms(t, schemas.AcknowledgedMany, many);
  t.same(outcomes(many), ['already_acknowledged', 'leased']);
  t.match(results(many)[1], { error: { code: 'LEASED' }, retryable: true });
  const forced = await app.request('POST', '/v1/events/ack', { event_ids: [two.event_id], force: true });
  t.same(outcomes(forced), ['acknowledged']);
  t.equal((await app.request('DELETE', `/v1/events/${three.event_id}`)).status, 200);
  const answer = await app.request('POST', SETTLE, {
    ack: [one, two, three].map(({ lease }) => lease.token),
  });
  t.same(outcomes(answer), ['lease_lost', 'lease_lost', 'lease_lost']);
}

async function foreign(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  await add(app, 1, shown);
  const [leased] = await take(app, 1);
  const token = leased?.lease.token ?? '';
  const altered = `${token.slice(0, 20)}${token[20] === 'A' ? 'B' : 'A'}${token.slice(21)}`;
  const answer = await app.request('POST', SETTLE, { ack: [altered, `${token}A`, 'é', token.slice(1)] });
  t.equal(answer.status, 207);
  conforms(t, schemas.SettledMany, answer);
  t.same(new Set(outcomes(answer)), new Set(['lease_malformed']));
  t.same(outcomes(await app.request('POST', SETTLE, { ack: [token] })), ['acknowledged']);
}

async function refused(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  await add(app, 1, shown);
  const [leased] = await take(app, 1);
  const token = leased?.lease.token ?? '';
  const tokens = (count: number) => Array.from({ length: count }, () => randomUUID());
  const wrong: [path: string, body: Json, field: string][] = [
    [LEASE, { limit: 0 }, 'limit'],
    [LEASE, { limit: 101 }, 'limit'],
    [LEASE, { lease_seconds: 0 }, 'lease_seconds'],
    [LEASE, { lease_seconds: 43_201 }, 'lease_seconds'],
    [LEASE, { more: 1 }, 'more'],
    [LEASE, { settle: { ack: [token, token] } }, 'settle.ack.1'],
    [SETTLE, {}, 'body'],
    [SETTLE, { ack: [] }, 'body'],
    [SETTLE, { ack: [token], reject: [{ token }] }, 'reject.0'],
    [SETTLE, { ack: [token], extend: [{ token: 'x' }] }, 'extend.0.lease_seconds'],
    [SETTLE, { ack: [token], release: [{ token: 'x', delay_seconds: -1 }] }, 'release.0.delay_seconds'],
    [SETTLE, { ack: [token], reject: [{ token: 'x', reason: 'r'.repeat(257) }] }, 'reject.0.reason'],
    [SETTLE, { ack: [token, ...tokens(250)], reject: tokens(250).map((token) => ({ token })) }, 'body'],
    [REDRIVE, {}, 'limit'],
    [REDRIVE, { event_ids: [randomUUID()], limit: 1 }, 'body'],
    [REDRIVE, { limit: 501 }, 'limit'],
  ];
  for (const [path, body, field] of wrong) {
    const answer = await app.request('POST', path, body);
    t.equal(answer.status, 400, `${path}: ${field}`);
    t.match(v1Error(answer).details, [{ field }]);
  }
  t.same(outcomes(await app.request('POST', SETTLE, { ack: [token] })), ['acknowledged'], 'nothing was done');
}

async function quarantine(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t);
  const ids = await add(app, 3, shown);
  const leased = await take(app, 3);
  await app.request('POST', SETTLE, {
    reject: leased.map(({ lease }, n) => ({ token: lease.token, reason: `reason ${String(n)}` })),
  });
  const quarantined = async (query = '') => {
    const found: { event_id: string; event_type: string; attempts: number; last_reason: string }[] = [];
    for (let tries = 0; found.length === 0 && tries < 400; tries++) {
      let cursor: string | null = '';
      while (cursor !== null) {
        const path = `${QUARANTINE}?limit=2${query}${cursor === '' ? '' : `&cursor=${cursor}`}`;
        const page: Answer = await app.request('GET', path);
        t.equal(page.status, 200);
        conforms(t, schemas.QuarantinePage, page);
        found.push(...(page.json['events'] as typeof found));
        cursor = (page.json['pagination'] as { next_cursor: string | null }).next_cursor;
      }
    }
    return found;
  };
  let found = await quarantined();
  for (let tries = 0; found.length < 3 && tries < 100; tries++) {
    await sleep(25);
    found = await quarantined();
  }
  t.same(found.map(({ event_id }) => event_id).sort(), [...ids].sort());
  t.same(found.map(({ last_reason }) => last_reason).sort(), ['reason 0', 'reason 1', 'reason 2']);
  t.ok(found.every(({ attempts }) => attempts === 1));
  t.same(
    (await quarantined('&event_type=odd')).map(({ event_type }) => event_type),
    ['odd'],
  );
  const [a, b, c] = ids as [string, string, string];
  t.equal((await app.request('GET', `/v1/events/${a}`)).json['status'], 'quarantined');
  t.equal((await app.request('GET', `/v1/inbox?cursor=${'x'.repeat(40)}`)).status, 400);

  const filtered = await app.request('POST', REDRIVE, { limit: 10, event_type: 'odd' });
  t.equal(filtered.status, 200);
  conforms(t, schemas.RedrivenMany, filtered);
  t.same(
    results(filtered).map(({ outcome, event_id }) => [outcome, event_id]),
    [['redriven', b]],
  );
  const answer = await app.request('POST', REDRIVE, { event_ids: [a.toUpperCase(), b, randomUUID()] });
  t.equal(answer.status, 207);
  t.same(outcomes(answer), ['redriven', 'not_found', 'not_found']);
  t.equal((await app.request('POST', `/v1/events/${c}/ack`)).status, 200);
  const again = await take(app, 2);
  t.same(again.map(({ event_id }) => event_id).sort(), [a, b].sort());
  t.ok(again.every(({ lease }) => lease.attempt === 1 && lease.last_reason === null));
}

async function attempts(t: Test, start: Start, shown: Shown): Promise<void> {
  const app = await start(t, { MAX_ATTEMPTS: '2' });
  const [id] = await add(app, 1, shown);
  const [first] = await take(app, 1);
  const release = (token: string | undefined) =>
    app.request('POST', SETTLE, { release: [{ token, reason: 'r' }] });
  t.same(outcomes(await release(first?.lease.token)), ['released']);
  const [second] = await take(app, 1);
  t.match(second, { lease: { attempt: 2, last_reason: 'r' } });
  t.same(outcomes(await release(second?.lease.token)), ['quarantined']);
  t.equal((await app.request('GET', `/v1/events/${id ?? ''}`)).json['status'], 'quarantined');
  t.same((await app.request('POST', LEASE, {})).json['events'], []);
}
