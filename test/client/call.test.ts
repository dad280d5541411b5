import t from 'tap';
import { createCall } from '../../src/client/call.ts';
import { TriggersError } from '../../src/client/error.ts';
import { createEvents } from '../../src/client/events.ts';
import { createInbox } from '../../src/client/inbox.ts';
import { readOptions, type TriggersOptions } from '../../src/client/options.ts';
import { fakeService, type FakeReply } from '../support/fake-fetch.ts';

const ID = '3f0e6c1e-6d6c-4f3c-9a54-0d8f6f8a4c11';
const CREATED = { status: 201, body: { event_id: ID, created_at: '2026-01-01T12:00:00.123000Z' } };
const EVENT = { source: 's', eventType: 't', payload: { n: 1 } };

/** An error of the service. */
function refusal(status: number, code: string, headers: Record<string, string> = {}): FakeReply {
  const error = { code, message: `because of ${code}`, details: null, request_id: 'r-1' };
  return { status, body: { error }, headers };
}

/** A client of a service that replies so. */
function client(
  replies: readonly FakeReply[],
  options: Partial<TriggersOptions> & { readonly random?: number } = {},
) {
  const service = fakeService(replies, options.random);
  const settings = readOptions({ baseUrl: 'http://api', apiKey: 'key', fetch: service.fetch, ...options });
  const call = createCall(settings, service.world);
  return { ...service, events: createEvents(call), inbox: createInbox(call, service.world) };
}

async function failureOf(promise: Promise<unknown>): Promise<TriggersError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof TriggersError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

void t.test('send: what goes out and what comes back', async (t) => {
  const { events, requests } = client([
    { ...CREATED, headers: { 'idempotent-replayed': 'true' } },
    { ...CREATED },
  ]);
  t.strictSame(await events.send({ ...EVENT, metadata: { priority: 'high', own: [1] } }), {
    eventId: ID,
    createdAt: '2026-01-01T12:00:00.123000Z',
    replayed: true,
  });
  t.equal((await events.send(EVENT)).replayed, false);
  const [first, second] = requests;
  t.strictSame(first?.body, {
    source: 's',
    event_type: 't',
    payload: { n: 1 },
    metadata: { priority: 'high', own: [1] },
  });
  t.strictSame(second?.body, { source: 's', event_type: 't', payload: { n: 1 } });
  t.equal(first?.url, 'http://api/v1/events');
  t.equal(first?.method, 'POST');
  t.equal(first?.headers.get('x-api-key'), 'key');
  t.equal(first?.headers.get('content-type'), 'application/json');
});

void t.test('an idempotency key is made once a send, and kept over its tries', async (t) => {
  const { events, requests } = client([new TypeError('lost'), refusal(503, 'X'), CREATED]);
  await events.send(EVENT);
  await events.send(EVENT);
  const keys = requests.map(({ headers }) => headers.get('idempotency-key'));
  t.equal(keys.length, 4);
  t.match(keys[0], /^[0-9a-f]{32}$/);
  t.strictSame(keys.slice(1, 3), [keys[0], keys[0]]);
  t.not(keys[3], keys[0]);
});

void t.test('an idempotency key of the caller', async (t) => {
  const { events, requests } = client([CREATED]);
  await events.send(EVENT, { idempotencyKey: 'order-7' });
  await events.send({ ...EVENT, metadata: { idempotency_key: 'ключ' } });
  t.strictSame(
    requests.map(({ headers }) => headers.get('idempotency-key')),
    ['order-7', null],
  );
  await t.rejects(events.send(EVENT, { idempotencyKey: 'ключ' }), TypeError);
  await t.rejects(events.send(EVENT, { idempotencyKey: '' }), TypeError);
  t.equal(requests.length, 2);
});

void t.test('what is sent again, and what is not', async (t) => {
  for (const status of [429, 500, 501, 502, 503, 504]) {
    const { events, requests } = client([refusal(status, 'X'), CREATED]);
    t.equal((await events.send(EVENT)).eventId, ID, String(status));
    t.equal(requests.length, 2);
  }
  for (const status of [400, 401, 403, 404, 405, 409, 413, 415, 422, 505]) {
    const { events, requests } = client([refusal(status, 'X'), CREATED]);
    t.match(await failureOf(events.send(EVENT)), { status, code: 'X', retryable: false });
    t.equal(requests.length, 1, String(status));
  }
});

void t.test('five tries, with full jitter between them', async (t) => {
  for (const random of [0, 0.5, 0.999]) {
    const { events, requests } = client([new TypeError('fetch failed')], { random });
    const error = await failureOf(events.send(EVENT));
    t.match(error, { code: 'NETWORK_ERROR', status: null, requestId: null, retryable: true });
    t.same(
      requests.map(({ at }) => Math.round(at)),
      [0, 100, 300, 700, 1500].map((ms) => Math.round(ms * random)),
    );
  }
});

void t.test('no wait for jitter is longer than 20 s', async (t) => {
  const { events, requests } = client([new TypeError('fetch failed')], {
    random: 1,
    maxRetries: 12,
    timeoutMs: 1e6,
  });
  await failureOf(events.send(EVENT));
  const waits = requests.slice(1).map(({ at }, index) => at - (requests[index]?.at ?? 0));
  t.same(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 20_000, 20_000, 20_000, 20_000]);
});

void t.test('Retry-After is never shortened: seconds, and dates by the clock of the service', async (t) => {
  for (const headers of [
    { 'retry-after': '7' },
    { 'retry-after': 'Thu, 01 Jan 2015 00:00:07 GMT', date: 'Thu, 01 Jan 2015 00:00:00 GMT' },
  ]) {
    const { events, requests } = client([refusal(429, 'RATE_LIMITED', headers), CREATED], { random: 0.5 });
    await events.send(EVENT);
    t.equal(requests[1]?.at, 7050);
  }
  const { events, requests } = client([refusal(503, 'X', { 'retry-after': 'soon' }), CREATED]);
  await events.send(EVENT);
  t.equal(requests[1]?.at, 50);
});

void t.test('a wait that would pass the deadline is not begun', async (t) => {
  const { events, requests, world } = client([refusal(429, 'RATE_LIMITED', { 'retry-after': '60' })]);
  t.match(await failureOf(events.send(EVENT)), { code: 'RATE_LIMITED', status: 429, retryable: true });
  t.equal(requests.length, 1);
  t.equal(world.now(), 0);
});

void t.test('one deadline over all tries; a silent try leaves time for the others', async (t) => {
  const silent = async (options: Partial<TriggersOptions>) => {
    const { events, requests, world } = client(['silent'], options);
    t.match(await failureOf(events.send(EVENT)), { code: 'TIMEOUT', status: null, retryable: true });
    return { at: requests.map(({ at }) => at), end: world.now() };
  };
  t.same(await silent({}), { at: [0, 6050, 12_150, 18_350, 24_750], end: 30_000 });
  t.same(await silent({ timeoutMs: 60_000 }), { at: [0, 12_050, 24_150, 36_350, 48_750], end: 60_000 });
  t.same(await silent({ maxRetries: 0 }), { at: [0], end: 30_000 });
  t.same(await silent({ timeoutMs: 9000, maxRetries: 50 }), { at: [0, 5050], end: 9000 }, 'none is hurried');
});

void t.test('an error has what the service says of it', async (t) => {
  const details = [{ field: 'payload', message: 'is required' }];
  const body = {
    error: { code: 'VALIDATION_ERROR', message: 'payload: is required', details, request_id: 'r-2' },
  };
  const error = await failureOf(client([{ status: 400, body }]).events.send(EVENT));
  t.equal(error.message, 'payload: is required');
  t.equal(error.name, 'TriggersError');
  t.equal(error.requestId, 'r-2');
  t.strictSame(error.details, details);
  t.equal((await failureOf(client([refusal(404, 'NOT_FOUND')]).events.get(ID))).details, null);
});

void t.test('a reply of somebody else', async (t) => {
  const headers = { 'x-request-id': 'r-3' };
  const gateway = client([{ status: 502, body: '<html>', headers }, CREATED]);
  t.equal((await gateway.events.send(EVENT)).eventId, ID);
  for (const [reply, retryable, tries] of [
    [{ status: 502, body: '<html>', headers }, true, 5],
    [{ status: 413, body: '<html>', headers }, false, 1],
    [{ status: 400, body: { error: 'text' }, headers }, false, 1],
    [{ status: 302, body: '', headers }, false, 1],
    // Successes that are none: cut short, not of this API, of another status.
    [{ status: 201, body: '{"event_id":"3f0', headers }, true, 5],
    [{ status: 201, body: {}, headers }, true, 5],
    [{ status: 201, body: [], headers }, true, 5],
    [{ status: 200, body: CREATED.body, headers }, true, 5],
  ] as const) {
    const { events, requests } = client([reply]);
    t.match(
      await failureOf(events.send(EVENT)),
      { code: 'UNEXPECTED_RESPONSE', status: reply.status, requestId: 'r-3', retryable },
      JSON.stringify(reply),
    );
    t.equal(requests.length, tries);
  }
});

void t.test('a signal ends a call wherever it is, with its own reason', async (t) => {
  const reason = new Error('enough');
  const before = client([CREATED]);
  await t.rejects(before.events.send(EVENT, { signal: AbortSignal.abort(reason) }), reason);
  t.equal(before.requests.length, 0);

  for (const reply of ['silent', refusal(503, 'X', { 'retry-after': '20' })] as const) {
    const controller = new AbortController();
    const { events, requests, world } = client([reply]);
    world.after(10, () => {
      controller.abort(reason);
    });
    await t.rejects(events.send(EVENT, { signal: controller.signal }), reason);
    t.equal(requests.length, 1);
    t.equal(world.now(), 10);
  }

  const { events, inbox } = client([CREATED]);
  const signal = AbortSignal.abort(reason);
  await t.rejects(events.get(ID, { signal }), reason);
  await t.rejects(events.ack(ID, { signal }), reason);
  await t.rejects(events.delete(ID, { signal }), reason);
  await t.rejects(inbox.list({ signal }).next(), reason);
});

void t.test('a signal of the caller keeps nothing of a call that has ended', async (t) => {
  const { signal } = new AbortController();
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  };
  await client([new TypeError('lost'), CREATED]).events.send(EVENT, { signal });
  await failureOf(client([refusal(404, 'NOT_FOUND')]).events.get(ID, { signal }));
  t.equal(listeners, 0);
});

void t.test('an acknowledgement whose answer was lost has been given', async (t) => {
  const conflict = refusal(409, 'CONFLICT');
  const read = { status: 200, body: { event_id: ID, acknowledged_at: '2026-01-01T12:00:01.456000Z' } };
  const { events, requests } = client([new TypeError('lost'), conflict, read]);
  t.strictSame(await events.ack(ID), { eventId: ID, acknowledgedAt: '2026-01-01T12:00:01.456000Z' });
  t.same(
    requests.map(({ method, url }) => `${method} ${url}`),
    [
      `POST http://api/v1/events/${ID}/ack`,
      `POST http://api/v1/events/${ID}/ack`,
      `GET http://api/v1/events/${ID}`,
    ],
  );
  t.match(await failureOf(client([conflict]).events.ack(ID)), { code: 'CONFLICT', retryable: false });
});

void t.test('an id that would name another route is refused', async (t) => {
  const { events, requests } = client([CREATED]);
  for (const id of ['', '.', '..']) await t.rejects(events.ack(id), TypeError, id);
  t.equal(requests.length, 0);
  await failureOf(events.get('a/b?c'));
  t.equal(requests[0]?.url, 'http://api/v1/events/a%2Fb%3Fc');
});

void t.test('the inbox is read page by page, as far as somebody reads on', async (t) => {
  const page = (n: number, next: string | null): FakeReply => ({
    status: 200,
    body: {
      events: [{ event_id: `${String(n)}a` }, { event_id: `${String(n)}b` }],
      pagination: { next_cursor: next },
    },
  });
  const pages = [page(1, 'c/1'), page(2, 'c2'), page(3, null)];
  const { inbox, requests } = client(pages);
  const ids: string[] = [];
  for await (const { eventId } of inbox.list({ limit: 2, source: 'a b', eventType: 't' })) ids.push(eventId);
  t.same(ids, ['1a', '1b', '2a', '2b', '3a', '3b']);
  t.same(
    requests.map(({ url }) => url.replace('http://api/v1/inbox?', '')),
    [
      'limit=2&source=a+b&event_type=t',
      'limit=2&cursor=c%2F1&source=a+b&event_type=t',
      'limit=2&cursor=c2&source=a+b&event_type=t',
    ],
  );

  const early = client(pages);
  for await (const event of early.inbox.list()) {
    t.equal(event.eventId, '1a');
    break;
  }
  t.equal(early.requests.length, 1);

  const byPage = client(pages);
  const cursors: (string | null)[] = [];
  for await (const { nextCursor, events } of byPage.inbox.list().pages()) {
    cursors.push(nextCursor);
    t.equal(events.length, 2);
  }
  t.same(cursors, ['c/1', 'c2', null]);
  t.equal(byPage.requests[0]?.url, 'http://api/v1/inbox');
});

void t.test('options that cannot work are refused at once', (t) => {
  const good = { baseUrl: 'https://api/', apiKey: 'key' };
  t.equal(readOptions(good).baseUrl, 'https://api');
  t.equal(
    readOptions({ ...good, baseUrl: 'http://localhost:8080/behind/' }).baseUrl,
    'http://localhost:8080/behind',
  );
  for (const bad of [
    { baseUrl: '' },
    { baseUrl: 'localhost:8080' },
    { baseUrl: 'ftp://api' },
    { baseUrl: 'https://me:secret@api' },
    { baseUrl: 'https://api?x=1' },
    { apiKey: '' },
    { apiKey: 'line\nbreak' },
    { apiKey: 'ключ' },
    { timeoutMs: 0 },
    { timeoutMs: NaN },
    { timeoutMs: 2 ** 31 },
    { maxRetries: -1 },
    { maxRetries: 1.5 },
  ]) {
    t.throws(() => readOptions({ ...good, ...bad }), TypeError, JSON.stringify(bad));
  }
  t.end();
});
