import t from 'tap';
import { Triggers } from '../../src/client/client.ts';
import { TriggersError } from '../../src/client/error.ts';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { startTestApp } from '../support/app.ts';

const EVENT = { source: 'shop', eventType: 'order.paid', payload: { order: 7 } };

void t.test('a whole life of an event', async (t) => {
  const { url } = await startTestApp(t);
  const { events, inbox } = new Triggers({ baseUrl: url, apiKey: LOCAL_KEY });
  const { eventId, createdAt, replayed } = await events.send({ ...EVENT, metadata: { priority: 'high' } });
  t.equal(replayed, false);
  const pending = {
    ...EVENT,
    eventId,
    createdAt,
    metadata: { priority: 'high' },
    status: 'pending',
    acknowledgedAt: null,
  };
  t.strictSame(await events.get<{ order: number }>(eventId), pending);
  t.strictSame((await inbox.list().next()).value, { ...pending, leasedUntil: null });
  const acknowledged = await events.ack(eventId);
  t.strictSame(await events.get(eventId), {
    ...pending,
    status: 'acknowledged',
    acknowledgedAt: acknowledged.acknowledgedAt,
  });
  t.strictSame(await events.delete(eventId), { eventId });
  t.strictSame(await events.delete(eventId), { eventId }, 'also where there is nothing left');
});

void t.test('errors are those of the service', async (t) => {
  const { url } = await startTestApp(t);
  const { events, inbox } = new Triggers({ baseUrl: url, apiKey: LOCAL_KEY });
  const missing = '3f0e6c1e-6d6c-4f3c-9a54-0d8f6f8a4c11';
  const { eventId } = await events.send(EVENT, { idempotencyKey: 'k' });
  await events.ack(eventId);
  for (const [call, code, status] of [
    [() => events.send({ ...EVENT, source: '' }), 'VALIDATION_ERROR', 400],
    [() => events.send({ ...EVENT, payload: [] }), 'VALIDATION_ERROR', 400],
    [() => events.send({ ...EVENT, payload: { a: 'x'.repeat(409_600) } }), 'PAYLOAD_TOO_LARGE', 413],
    [() => events.send({ ...EVENT, payload: {} }, { idempotencyKey: 'k' }), 'IDEMPOTENCY_KEY_REUSED', 422],
    [() => events.get(missing), 'NOT_FOUND', 404],
    [() => events.get('x'), 'INVALID_EVENT_ID', 422],
    [() => events.ack(missing), 'NOT_FOUND', 404],
    [() => events.ack(eventId), 'CONFLICT', 409],
    [() => inbox.list({ limit: 101 }).next(), 'VALIDATION_ERROR', 400],
    [() => inbox.list({ cursor: 'x' }).next(), 'VALIDATION_ERROR', 400],
    [() => new Triggers({ baseUrl: url, apiKey: 'other' }).events.get(missing), 'UNAUTHORIZED', 401],
  ] as const) {
    const error = await (call() as Promise<unknown>).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (!(error instanceof TriggersError)) throw new Error(`${code}: ${String(error)}`);
    t.match(error, { code, status, retryable: false }, code);
    t.match(error.requestId, /^[0-9a-f-]{36}$/);
    t.equal(error.details !== null, /^VALIDATION|^INVALID/.test(code), `details of ${code}`);
  }
  const { replayed, eventId: again } = await events.send(EVENT, { idempotencyKey: 'k' });
  t.strictSame({ replayed, again }, { replayed: true, again: eventId });
});

void t.test('a walk gets every event once, and none that came later', async (t) => {
  const { url } = await startTestApp(t);
  const { events, inbox } = new Triggers({ baseUrl: url, apiKey: LOCAL_KEY });
  const sent: string[] = [];
  for (let n = 0; n < 25; n++) sent.push((await events.send({ ...EVENT, payload: { n } })).eventId);
  await events.send({ ...EVENT, source: 'other' });
  const walked: string[] = [];
  for await (const { eventId } of inbox.list({ limit: 10, source: 'shop' })) {
    walked.push(eventId);
    await events.send(EVENT);
    await events.ack(eventId);
  }
  t.strictSame(walked, sent);
  const sizes: number[] = [];
  for await (const page of inbox.list({ limit: 10 }).pages()) sizes.push(page.events.length);
  t.same(sizes, [10, 10, 6]);
});

void t.test('health, also with a wrong key, and behind a path', async (t) => {
  const { url } = await startTestApp(t);
  const health = await new Triggers({ baseUrl: `${url}/`, apiKey: 'none' }).health();
  t.match(health, { status: 'healthy', version: /^\d/, timestamp: /Z$/ });
  const lost = new Triggers({ baseUrl: `${url}/behind`, apiKey: 'none' }).health();
  await t.rejects(lost, { code: 'UNEXPECTED_RESPONSE', status: 404, retryable: false });
});

void t.test('nobody listens', async (t) => {
  const { url, app } = await startTestApp(t);
  await app.close();
  const { events } = new Triggers({ baseUrl: url, apiKey: LOCAL_KEY, maxRetries: 1 });
  await t.rejects(events.send(EVENT), {
    code: 'NETWORK_ERROR',
    status: null,
    retryable: true,
    message: /ECONNREFUSED/,
  });
});
