import t from 'tap';
import { createCall } from '../../src/client/call.ts';
import { createInbox } from '../../src/client/inbox.ts';
import { readOptions } from '../../src/client/options.ts';
import { createQuarantine } from '../../src/client/quarantine.ts';
import { fakeService, type FakeReply } from '../support/fake-fetch.ts';

function client(...replies: FakeReply[]) {
  const service = fakeService(replies);
  const settings = readOptions({ baseUrl: 'http://service', apiKey: 'k', fetch: service.fetch });
  const call = createCall(settings, service.world);
  return { ...service, inbox: createInbox(call, service.world), quarantine: createQuarantine(call) };
}

const EVENT = {
  ...{ event_id: 'id', source: 's', event_type: 't', payload: { n: 1 }, metadata: null },
  ...{ status: 'pending', created_at: 'then', acknowledged_at: null },
};
const READ = {
  ...{ eventId: 'id', source: 's', eventType: 't', payload: { n: 1 }, metadata: null },
  ...{ status: 'pending', createdAt: 'then', acknowledgedAt: null },
};
const LEASES = {
  status: 200,
  body: {
    events: [{ ...EVENT, lease: { token: 'a', expires_at: 'soon', attempt: 2, last_reason: 'why' } }],
    settled: [{ index: 0, action: 'ack', outcome: 'acknowledged', event_id: 'other' }],
    backlog: { empty: false, pending: 7, is_lower_bound: true },
    request_id: 'r',
  },
};
const LOST = { code: 'LEASE_LOST', message: 'lost' };

/** An answer of settle, or of another call for many. */
function many(...results: Record<string, unknown>[]): FakeReply {
  return { status: 207, body: { results: results.map((one, index) => ({ index, ...one })), summary: {} } };
}

void t.test('lease: what goes out and what comes back', async (t) => {
  const { inbox, requests } = client(LEASES);
  const settle = {
    ack: ['x'],
    release: [{ token: 'y', delaySeconds: 5, failed: false, reason: 'r' }],
    extend: [{ token: 'z', leaseSeconds: 9 }],
  };
  const given = await inbox.lease({
    ...{ limit: 5, leaseSeconds: 30, waitSeconds: 20, source: 's', eventType: 't', settle },
    idempotencyKey: 'mine',
  });
  t.strictSame(given, {
    events: [{ ...READ, lease: { token: 'a', expiresAt: 'soon', attempt: 2, lastReason: 'why' } }],
    settled: [
      { index: 0, error: null, retryable: false, action: 'ack', outcome: 'acknowledged', eventId: 'other' },
    ],
    backlog: { empty: false, pending: 7, isLowerBound: true },
  });
  t.match(requests[0], { method: 'POST', url: 'http://service/v1/inbox/lease' });
  t.equal(requests[0]?.headers.get('idempotency-key'), 'mine');
  t.strictSame(requests[0]?.body, {
    ...{ limit: 5, lease_seconds: 30, wait_seconds: 20, source: 's', event_type: 't' },
    settle: {
      ack: ['x'],
      release: [{ token: 'y', delay_seconds: 5, failed: false, reason: 'r' }],
      extend: [{ token: 'z', lease_seconds: 9 }],
    },
  });
  await inbox.lease();
  t.strictSame(requests[1]?.body, {});
});

void t.test('lease: all tries have one key, and each has time for the wait', async (t) => {
  const { inbox, requests } = client(new Error('reset'), 'silent', { status: 503 }, LEASES);
  await inbox.lease({ waitSeconds: 20 });
  t.equal(requests.length, 4);
  t.equal(new Set(requests.map(({ headers }) => headers.get('idempotency-key'))).size, 1);
  t.equal(new Set(requests.map(({ body }) => JSON.stringify(body))).size, 1);
  const [, second, third] = requests;
  t.ok((third?.at ?? 0) - (second?.at ?? 0) >= 25_000, 'the wait and 5 s');
  const quick = client('silent');
  await t.rejects(quick.inbox.lease(), { code: 'TIMEOUT' });
  t.ok((quick.requests.at(-1)?.at ?? Infinity) < 30_000);
});

void t.test('settle: results in order, and what failed for now is sent again', async (t) => {
  const { inbox, requests } = client(
    many(
      { action: 'ack', outcome: 'failed', error: { code: 'X', message: 'm' }, retryable: true },
      { action: 'release', outcome: 'released', event_id: 'b' },
      { action: 'reject', outcome: 'lease_lost', error: LOST, retryable: false },
    ),
    many(
      { action: 'ack', outcome: 'acknowledged', event_id: 'a' },
      { action: 'release', outcome: 'lease_lost', error: LOST, retryable: false },
      { action: 'reject', outcome: 'lease_lost', error: LOST, retryable: false },
    ),
  );
  const { results, summary } = await inbox.settle({
    ...{ reject: [{ token: 'c', reason: 'no' }], ack: ['a'], release: [{ token: 'b' }] },
  });
  t.strictSame(summary, { acknowledged: 1, released: 1, lease_lost: 1 });
  t.match(results, [
    { index: 0, action: 'ack', outcome: 'acknowledged', eventId: 'a', error: null },
    { index: 1, action: 'release', outcome: 'released', eventId: 'b', error: null },
    { index: 2, action: 'reject', outcome: 'lease_lost', eventId: null, error: LOST },
  ]);
  t.strictSame(
    requests.map(({ body }) => body),
    [0, 1].map(() => ({
      ...{ ack: ['a'], release: [{ token: 'b' }], reject: [{ token: 'c', reason: 'no' }] },
    })),
  );
  t.equal(requests[0]?.url, 'http://service/v1/inbox/settle');
});

void t.test('settle: more than one request takes', async (t) => {
  const tokens = Array.from({ length: 499 }, (_, n) => `ack ${String(n)}`);
  const refusal = { status: 400, body: { error: { code: 'VALIDATION_ERROR', message: 'no' } } };
  const first = many(...Array.from({ length: 500 }, () => ({ action: 'ack', outcome: 'acknowledged' })));
  const { inbox, requests } = client(first, refusal);
  const { results, summary } = await inbox.settle({
    ...{ ack: tokens, extend: [1, 2].map((n) => ({ token: `extend ${String(n)}`, leaseSeconds: 1 })) },
  });
  t.equal(requests.length, 2);
  t.strictSame(requests[1]?.body, { extend: [{ token: 'extend 2', lease_seconds: 1 }] });
  t.strictSame(summary, { acknowledged: 500, failed: 1 });
  t.match(results[500], { index: 500, action: 'extend', outcome: 'failed', eventId: null });
});

void t.test('quarantine: a walk', async (t) => {
  const event = { ...EVENT, status: 'quarantined', attempts: 10, last_reason: 'x', quarantined_at: 'now' };
  const page = (next_cursor: string | null) => ({
    status: 200,
    body: { events: [event], pagination: { next_cursor, limit: 1 } },
  });
  const { quarantine, requests } = client(page('next'), page(null));
  const walked = [];
  for await (const one of quarantine.list({ limit: 1, eventType: 't' })) walked.push(one);
  const read = { ...READ, status: 'quarantined', attempts: 10, lastReason: 'x', quarantinedAt: 'now' };
  t.strictSame(walked, [read, read]);
  t.strictSame(
    requests.map(({ url }) => url),
    [
      'http://service/v1/quarantine?limit=1&event_type=t',
      'http://service/v1/quarantine?limit=1&cursor=next&event_type=t',
    ],
  );
});

void t.test('quarantine: redrive by ids, and by what they have in common', async (t) => {
  const answer = many(
    { outcome: 'redriven', event_id: 'a' },
    { outcome: 'not_found', event_id: 'b', error: { code: 'NOT_FOUND', message: 'm' }, retryable: false },
  );
  const { quarantine, requests } = client(answer);
  const { results, summary } = await quarantine.redrive(['a', 'b']);
  t.strictSame(summary, { redriven: 1, not_found: 1 });
  t.match(results, [
    { eventId: 'a', outcome: 'redriven', error: null },
    { eventId: 'b', outcome: 'not_found', error: { code: 'NOT_FOUND' } },
  ]);
  await quarantine.redrive({ eventType: 't', limit: 2 });
  t.strictSame(
    requests.map(({ body }) => body),
    [{ event_ids: ['a', 'b'] }, { event_type: 't', limit: 2 }],
  );
  const failed = { outcome: 'failed', event_id: 'a', error: { code: 'X', message: 'm' }, retryable: true };
  const some = client(many(failed));
  t.strictSame((await some.quarantine.redrive({ limit: 1 })).summary, { failed: 1 });
  t.equal(some.requests.length, 1, 'not sent again, which would put back others');
});
