// Whether a deployed service works: TRIGGERS_API_KEY=trg_... node smoke.mjs https://events.example.com
// Use a key of a tenant of its own: what the test stores, it removes, but a consumer of that inbox may see it. Needs Node 20.
const [, , address] = process.argv;
const { TRIGGERS_API_KEY: key } = process.env;
if (!address || !URL.canParse(address) || !key) {
  console.error('Usage: TRIGGERS_API_KEY=<key> node smoke.mjs <URL of the service>');
  process.exit(2);
}
const base = address.replace(/\/+$/, '');
const TIMEOUT_MS = 10_000;

/** @param {string} method @param {string} path @param {{ key?: string, body?: unknown, headers?: Record<string, string> }} [options] */
async function call(method, path, { key, body, headers } = {}) {
  const response = await fetch(base + path, {
    method,
    headers: {
      ...(key === undefined ? {} : { 'x-api-key': key }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
    redirect: 'manual',
  });
  const text = await response.text();
  const json = response.headers.get('content-type')?.startsWith('application/json') && text !== '';
  return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : text };
}

/** @param {Awaited<ReturnType<typeof call>>} reply @param {number} status */
function expect(reply, status) {
  if (reply.status === status) return reply;
  const { status: got, headers, body } = reply;
  const text = typeof body === 'string' ? body.slice(0, 200) : JSON.stringify(body);
  throw new Error(
    `answered ${got} instead of ${status} (request ${headers.get('x-request-id') ?? 'unknown'}): ${text}`,
  );
}

let failures = 0;
/** @param {string} what @param {() => Promise<unknown>} check */
async function step(what, check) {
  const started = performance.now();
  try {
    const note = await check();
    const ms = (performance.now() - started).toFixed(1);
    console.log(`ok    ${what} (${ms} ms)${note === undefined ? '' : `: ${note}`}`);
  } catch (error) {
    failures++;
    const { message, cause } = /** @type {Error & { cause?: { message?: string } }} */ (error);
    console.log(`FAIL  ${what}: ${message}${cause?.message ? `: ${cause.message}` : ''}`);
  }
}

const idempotencyKey = `smoke-${crypto.randomUUID()}`;
const event = {
  source: 'smoke-test',
  event_type: 'smoke.test',
  payload: { sent_at: new Date().toISOString() },
  metadata: { idempotency_key: idempotencyKey },
};
/** @type {string | undefined} */
let id;
const stored = () => {
  if (id === undefined) throw new Error('there is no event to look at');
  return id;
};

await step('the process is alive', async () => {
  const { body } = expect(await call('GET', '/v1/health'), 200);
  return `version ${body.version}`;
});
await step('its store answers', async () => void expect(await call('GET', '/v1/ready'), 200));
await step('no key, no inbox', async () => void expect(await call('GET', '/v1/inbox'), 401));
await step('the test key is not taken', async () => {
  const { hostname } = new URL(base);
  if (['127.0.0.1', 'localhost', '[::1]'].includes(hostname)) return 'not asked of this machine';
  expect(await call('GET', '/v1/inbox', { key: 'test-api-key-12345' }), 401);
  return undefined;
});
await step('an event is stored', async () => {
  const { body } = expect(await call('POST', '/v1/events', { key, body: event }), 201);
  id = body.event_id;
  return id;
});
await step('sent again, it is the same event', async () => {
  stored();
  const { headers, body } = expect(await call('POST', '/v1/events', { key, body: event }), 201);
  if (body.event_id !== id || headers.get('idempotent-replayed') !== 'true')
    throw new Error('it is another one');
});
await step('it is read back', async () => {
  const { body } = expect(await call('GET', `/v1/events/${stored()}`, { key }), 200);
  if (JSON.stringify(body.payload) !== JSON.stringify(event.payload)) throw new Error('its payload differs');
});
await step('it is in the inbox', async () => {
  const wanted = stored();
  // On DynamoDB the index may be a moment behind.
  for (let time = 0; time < 20; time++) {
    let cursor = '';
    do {
      const query = `limit=100&event_type=smoke.test${cursor && `&cursor=${encodeURIComponent(cursor)}`}`;
      const { body } = expect(await call('GET', `/v1/inbox?${query}`, { key }), 200);
      if (body.events.some((/** @type {{ event_id: string }} */ { event_id }) => event_id === wanted)) return;
      cursor = body.pagination.next_cursor ?? '';
    } while (cursor !== '');
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error('it is not there after 5 s');
});
await step('it is acknowledged once', async () => {
  expect(await call('POST', `/v1/events/${stored()}/ack`, { key }), 200);
  expect(await call('POST', `/v1/events/${stored()}/ack`, { key }), 409);
});
await step('the other contract reads it', async () => {
  const { body } = expect(await call('GET', `/events/${stored()}`, { key }), 200);
  if (body.delivered !== true) throw new Error('it is not delivered there');
});
await step('it is removed', async () => {
  expect(await call('DELETE', `/v1/events/${stored()}`, { key }), 200);
  expect(await call('GET', `/v1/events/${stored()}`, { key }), 404);
});

console.log(failures === 0 ? `\n${base} works.` : `\n${base}: ${failures} of the checks failed.`);
process.exitCode = failures === 0 ? 0 : 1;
