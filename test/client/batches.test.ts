import t, { type Test } from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { createCall } from '../../src/client/call.ts';
import { Triggers } from '../../src/client/client.ts';
import { createEvents, type Events } from '../../src/client/events.ts';
import { readOptions } from '../../src/client/options.ts';
import { startTestApp } from '../support/app.ts';
import { fakeService, type FakeReply, type FakeRequest } from '../support/fake-fetch.ts';

const event = (n: number) => ({ source: 'shop', eventType: 'order.paid', payload: { n } });
const list = (count: number) => Array.from({ length: count }, (_, n) => event(n));

function eventsOn(
  replies: readonly FakeReply[],
  timeoutMs = 30_000,
): { events: Events; requests: FakeRequest[] } {
  const { fetch, world, requests } = fakeService(replies);
  const settings = readOptions({ baseUrl: 'http://service', apiKey: 'k', fetch, timeoutMs });
  return { events: createEvents(createCall(settings, world)), requests };
}

/** An answer with these outcomes, ids like their places. */
function answer(...outcomes: string[]): FakeReply {
  const good = ['created', 'duplicate', 'acknowledged', 'already_acknowledged'];
  const results = outcomes.map((outcome, index) => ({
    ...{ index, outcome, event_id: `id ${String(index)}`, created_at: 'then', acknowledged_at: 'then' },
    ...(good.includes(outcome)
      ? {}
      : { error: { code: outcome.toUpperCase(), message: 'why' }, retryable: outcome === 'failed' }),
  }));
  return { status: results.some((one) => 'error' in one) ? 207 : 200, body: { results, summary: {} } };
}

const keysOf = (requests: readonly FakeRequest[]) =>
  requests.map(({ headers }) => headers.get('idempotency-key'));

void t.test('against the service: sent, repeated, rejected, acknowledged', async (t) => {
  const { url } = await startTestApp(t);
  const { events, inbox } = new Triggers({ baseUrl: url, apiKey: LOCAL_KEY });
  const sent = await events.sendBatch(list(3), { idempotencyKey: 'all' });
  t.strictSame(sent.summary, { created: 3 });
  const ids = sent.results.map(({ eventId }) => eventId ?? '');
  const listed = [];
  for await (const { eventId, payload } of inbox.list<{ n: number }>()) listed.push([eventId, payload.n]);
  t.strictSame(
    listed,
    ids.map((id, n) => [id, n]),
  );
  const again = await events.sendBatch(list(3), { idempotencyKey: 'all' });
  t.strictSame(again.summary, { duplicate: 3 });
  t.strictSame(
    again.results.map(({ eventId }) => eventId),
    ids,
  );
  t.strictSame((await events.sendBatch(list(3))).summary, { created: 3 }, 'each call has a key of its own');

  const mixed = await events.sendBatch([event(1), { ...event(2), source: '' }]);
  t.strictSame(mixed.summary, { created: 1, rejected: 1 });
  t.match(mixed.results[1], {
    ...{ index: 1, outcome: 'rejected', eventId: null, createdAt: null, retryable: false },
    error: { code: 'VALIDATION_ERROR', details: [{ field: 'source' }] },
  });

  const unknown = '3f0e6c1e-6d6c-4f3c-9a54-0d8f6f8a4c11';
  const acknowledged = await events.ackMany([...ids, unknown]);
  t.strictSame(acknowledged.summary, { acknowledged: 3, not_found: 1 });
  t.match(acknowledged.results[3], { eventId: unknown, acknowledgedAt: null, error: { code: 'NOT_FOUND' } });
  t.strictSame((await events.ackMany(ids)).summary, { already_acknowledged: 3 });
  t.equal((await events.get(ids[0] ?? '')).acknowledgedAt, acknowledged.results[0]?.acknowledgedAt);
});

void t.test('a list beyond what one call takes is cut, and comes in order', async (t) => {
  const { url } = await startTestApp(t);
  const { events, inbox } = new Triggers({ baseUrl: url, apiKey: LOCAL_KEY });
  const sent = await events.sendBatch(list(1_201));
  t.strictSame(sent.summary, { created: 1_201 });
  t.strictSame(
    sent.results.map(({ index }) => index),
    Array.from({ length: 1_201 }, (_, n) => n),
  );
  const listed: number[] = [];
  const ids: string[] = [];
  for await (const { eventId, payload } of inbox.list<{ n: number }>({ limit: 100 })) {
    listed.push(payload.n);
    ids.push(eventId);
  }
  t.strictSame(
    listed,
    Array.from({ length: 1_201 }, (_, n) => n),
  );
  t.strictSame((await events.ackMany(ids)).summary, { acknowledged: 1_201 });
  const large = Array.from({ length: 12 }, (_, n) => ({
    ...event(n),
    payload: { n, k: 'ü'.repeat(200_000) },
  }));
  t.strictSame((await events.sendBatch(large)).summary, { created: 12 }, 'also by bytes');
  t.strictSame(await events.sendBatch([]), { results: [], summary: {} });
});

void t.test('all tries of a list have one key, and its parts have their own', async (t) => {
  const lost = eventsOn([new Error('reset'), { status: 503 }, answer('created', 'created')]);
  await lost.events.sendBatch(list(2));
  const [first, ...others] = keysOf(lost.requests);
  t.match(first, /^[0-9a-f]{32}$/);
  t.strictSame(others, [first, first]);
  const parts = eventsOn([answer(...list(500).map(() => 'created')), answer('created')]);
  await parts.events.sendBatch(list(501), { idempotencyKey: 'mine' });
  t.strictSame(keysOf(parts.requests), ['mine.0', 'mine.1']);
  await t.rejects(parts.events.sendBatch(list(1), { idempotencyKey: 'ü' }), TypeError);
});

void t.test(
  'what failed for now is sent again with its whole list; what was good stays as it was told',
  async (t) => {
    const { events, requests } = eventsOn([
      answer('created', 'failed', 'rejected', 'failed'),
      answer('duplicate', 'duplicate', 'rejected', 'failed'),
      answer('duplicate', 'duplicate', 'rejected', 'created'),
    ]);
    const { results, summary } = await events.sendBatch(list(4));
    t.strictSame(
      results.map(({ outcome }) => outcome),
      ['created', 'duplicate', 'rejected', 'created'],
    );
    t.strictSame(summary, { created: 2, duplicate: 1, rejected: 1 });
    t.equal(requests.length, 3);
    t.equal(new Set(keysOf(requests)).size, 1);
    t.strictSame(requests[1]?.body, requests[0]?.body);
  },
);

void t.test('what fails to the end is said', async (t) => {
  const { events, requests } = eventsOn([answer('created', 'failed')]);
  const { results, summary } = await events.sendBatch(list(2));
  t.equal(requests.length, 5, 'five tries');
  t.strictSame(summary, { created: 1, failed: 1 });
  t.match(results[1], {
    outcome: 'failed',
    eventId: 'id 1',
    error: { code: 'FAILED', message: 'why' },
    retryable: true,
  });
  const acknowledged = await eventsOn([answer('acknowledged', 'failed')]).events.ackMany(['a', 'b']);
  t.strictSame(acknowledged.summary, { acknowledged: 1, failed: 1 });
});

void t.test('only the first request of a list may reject', async (t) => {
  const refusal = {
    status: 400,
    body: { error: { code: 'VALIDATION_ERROR', message: 'no', request_id: 'r' } },
  };
  await t.rejects(eventsOn([refusal]).events.sendBatch(list(2)), { code: 'VALIDATION_ERROR' });
  const { events, requests } = eventsOn([answer(...list(500).map(() => 'created')), refusal]);
  const { results, summary } = await events.sendBatch(list(502));
  t.equal(requests.length, 2);
  t.strictSame(summary, { created: 500, failed: 2 });
  t.match(results[501], {
    index: 501,
    outcome: 'failed',
    eventId: null,
    error: { code: 'VALIDATION_ERROR' },
    retryable: false,
  });
  const acked = eventsOn([answer(...list(500).map(() => 'acknowledged')), refusal]);
  const { results: found } = await acked.events.ackMany(list(501).map((_, n) => `id ${String(n)}`));
  t.match(found[500], { eventId: 'id 500', outcome: 'failed', acknowledgedAt: null });
});

void t.test('one deadline is over all requests of a list', async (t) => {
  const { events, requests } = eventsOn([answer(...list(500).map(() => 'created')), 'silent'], 10_000);
  const { summary } = await events.sendBatch(list(501));
  t.strictSame(summary, { created: 500, failed: 1 });
  t.ok((requests.at(-1)?.at ?? Infinity) < 10_000);
  await isEnded(t);
});

/** A signal ends a list between its requests, and then it rejects with the reason. */
async function isEnded(t: Test): Promise<void> {
  const stop = new AbortController();
  const { events } = eventsOn([answer(...list(500).map(() => 'created')), 'silent']);
  const sending = events.sendBatch(list(501), { signal: stop.signal });
  stop.abort(new Error('enough'));
  await t.rejects(sending, { message: 'enough' });
}
