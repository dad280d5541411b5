import t, { type Test } from 'tap';
import { eventually, startDynalite } from '../../bench/harness/dynamodb.ts';
import { startFaultyEndpoint } from '../../bench/harness/faulty-endpoint.ts';
import { LOCAL_KEY } from '../../src/access/local.ts';
import type { GatewayEvent } from '../../src/lambda/gateway-call.ts';
import type { GatewayResult } from '../../src/lambda/gateway-result.ts';
import { createKey, runKeys } from '../support/keys-cli.ts';
import { ANSWER_LIMIT_BYTES, startEnvironment, type Environment } from '../support/lambda-runtime.ts';
import { functionSettings, packFunction } from '../support/lambda-service.ts';

const folder = packFunction(t);

/** How long Lambda lets an environment start. */
const START_LIMIT_MS = 10_000;

function gatewayEvent(method: string, path: string, fields: Partial<GatewayEvent> = {}): GatewayEvent {
  const [rawPath = '', rawQueryString = ''] = path.split('?');
  return {
    version: '2.0',
    rawPath,
    rawQueryString,
    requestContext: { stage: '$default', http: { method, sourceIp: '198.51.100.7' } },
    isBase64Encoded: false,
    ...fields,
    headers: { 'x-api-key': LOCAL_KEY, ...fields.headers },
  };
}

async function ask(environment: Environment, event: object): Promise<GatewayResult> {
  await environment.asleep();
  const outcome = await environment.invoke(event);
  if ('error' in outcome) throw new Error(outcome.error.errorMessage);
  return JSON.parse(outcome.result) as GatewayResult;
}

async function startReady(t: Test, settings: Record<string, string>): Promise<Environment> {
  const environment = await startEnvironment(t, folder, settings);
  await environment.ready;
  await eventually(async () => {
    const { statusCode, body } = await ask(environment, gatewayEvent('GET', '/v1/ready'));
    if (statusCode !== 200) throw new Error(body);
  });
  return environment;
}

void t.test('a cold start is within what Lambda allows', async (t) => {
  const environment = await startReady(t, functionSettings(await startDynalite(t)));
  t.comment(`cold start: ${environment.coldStartMs.toFixed(0)} ms from the start of the process`);
  t.ok(environment.coldStartMs > 0 && environment.coldStartMs < START_LIMIT_MS);
});

void t.test('a bad configuration fails the start, and Lambda is told what is wrong', async (t) => {
  const settings = functionSettings(await startDynalite(t));
  for (const [wrong, said] of [
    [{ INBOX_SHARDS: 'many' }, /INBOX_SHARDS: takes a whole number/],
    [{ STORE: 'embedded' }, /STORE: takes dynamodb on Lambda/],
    [{ CORS_ORIGINS: '*' }, /CORS_ORIGINS: is set in API Gateway/],
    [{ ALLOW_PUBLIC_TEST_KEY: '' }, /AUTH_MODE=local would give the well-known test key to everybody/],
  ] as const) {
    const environment = await startEnvironment(t, folder, { ...settings, ...wrong });
    await t.rejects(environment.ready, { message: said });
    await environment.end();
  }
});

void t.test('an event that is no request of an HTTP API fails alone', async (t) => {
  const environment = await startReady(t, functionSettings(await startDynalite(t)));
  await t.rejects(
    ask(environment, { version: '1.0', httpMethod: 'GET', path: '/' }),
    /payload format 2\.0 only/,
  );
  t.equal((await ask(environment, gatewayEvent('GET', '/v1/health'))).statusCode, 200);
});

void t.test('bodies in base64, joined headers, cookies and pages', async (t) => {
  const environment = await startReady(t, functionSettings(await startDynalite(t)));
  const body = Buffer.from('{"source":"s","event_type":"t","payload":{"a":"é"}}');
  const created = await ask(environment, {
    ...gatewayEvent('POST', '/v1/events', { body: body.toString('base64'), isBase64Encoded: true }),
    cookies: ['session=1'],
  });
  t.equal(created.statusCode, 201);
  const read = await ask(environment, gatewayEvent('GET', String(created.headers['location'])));
  t.match(read.body, '"payload":{"a":"é"}');
  const twice = { headers: { 'x-api-key': `${LOCAL_KEY},${LOCAL_KEY}` } };
  t.equal((await ask(environment, gatewayEvent('GET', '/v1/inbox', twice))).statusCode, 401);
  t.equal((await ask(environment, gatewayEvent('GET', '/v1/inbox?limit=1&limit=2'))).statusCode, 400);
  const large = { body: ' '.repeat(512 * 1024 + 1) };
  t.equal((await ask(environment, gatewayEvent('POST', '/v1/events', large))).statusCode, 413);
  const home = await ask(
    environment,
    gatewayEvent('GET', '/docs', { headers: { 'accept-encoding': 'gzip' } }),
  );
  t.match(home, { statusCode: 200, isBase64Encoded: true, headers: { 'content-encoding': 'gzip' } });
  const plain = await ask(environment, gatewayEvent('GET', '/docs'));
  const page = Buffer.from(plain.body ?? '', 'base64').toString();
  const [asset = ''] = /\/assets\/[\w/-]+\/swagger-ui\.js/.exec(page) ?? [];
  t.equal((await ask(environment, gatewayEvent('GET', asset))).statusCode, 200, 'assets are in the package');
  t.match(
    environment.logged().find(({ status }) => status === 201),
    { msg: 'request', route: '/v1/events', client: '198.51.100.7', key_id: 'local' },
  );
});

/** 255 characters that take six bytes each in JSON. */
const LONGEST_NAME = '\u0001'.repeat(255);

void t.test('the largest page that there can be fits an answer', async (t) => {
  const environment = await startReady(t, functionSettings(await startDynalite(t)));
  const quotes = (bytes: number) => `{"q":"${'\\"'.repeat((bytes - 8) / 2)}"}`;
  // Small events first, so that the page has a hundred when it is full.
  const payloads = [...Array<string>(93).fill('{}'), ...Array<string>(7).fill(quotes(409_600))];
  for (const payload of payloads) {
    const names = `"source":${JSON.stringify(LONGEST_NAME)},"event_type":${JSON.stringify(LONGEST_NAME)}`;
    const body = `{${names},"payload":${payload},"metadata":{"fill":"${'\\"'.repeat(4_085)}"}}`;
    const { statusCode, body: said } = await ask(environment, gatewayEvent('POST', '/v1/events', { body }));
    if (statusCode !== 201) throw new Error(said);
  }
  await environment.asleep();
  const outcome = await environment.invoke(gatewayEvent('GET', '/v1/inbox?limit=100'));
  if ('error' in outcome) throw new Error(outcome.error.errorType);
  const bytes = Buffer.byteLength(outcome.result);
  t.comment(`the answer has ${String(bytes)} of ${String(ANSWER_LIMIT_BYTES)} bytes`);
  const result = JSON.parse(outcome.result) as GatewayResult;
  t.match(result, { statusCode: 200, isBase64Encoded: true });
  const page = Buffer.from(result.body ?? '', 'base64').toString();
  t.equal((JSON.parse(page) as { events: unknown[] }).events.length, payloads.length);
  t.ok(page.includes(`"payload":${payloads.at(-1) ?? ''},"metadata"`), 'as it was sent');
});

void t.test(
  'a store that hangs is 503 within 2 s, and well again the next request is answered',
  async (t) => {
    const proxy = await startFaultyEndpoint(t, await startDynalite(t));
    const environment = await startReady(t, functionSettings(proxy.endpoint));
    proxy.fault = () => ({ kind: 'hang' });
    const late = await ask(environment, gatewayEvent('GET', '/v1/inbox'));
    t.match(late, { statusCode: 503, headers: { 'retry-after': /\d/ } });
    proxy.fault = () => undefined;
    await eventually(async () => {
      const { statusCode } = await ask(environment, gatewayEvent('GET', '/v1/inbox'));
      if (statusCode !== 200) throw new Error(String(statusCode));
    });
  },
);

/** Longer than a request takes, and within the time that the store's calls have. */
const SLOW_MS = 600;

void t.test('a stored key is verified, kept up between requests, and its revocation seen', async (t) => {
  const engine = await startDynalite(t);
  const proxy = await startFaultyEndpoint(t, engine);
  const settings = {
    ...functionSettings(proxy.endpoint),
    AUTH_MODE: 'keys',
    API_KEY_CACHE_TTL_SECONDS: '1',
  };
  const environment = await startReady(t, settings);
  const env = { ...settings, STORE: 'dynamodb', DYNAMODB_ENDPOINT_URL: engine };
  const { key, keyId } = await createKey(runKeys, env);
  const inbox = async (): Promise<number> =>
    (await ask(environment, gatewayEvent('GET', '/v1/inbox', { headers: { 'x-api-key': key } }))).statusCode;
  t.equal(await inbox(), 200);
  proxy.fault = (operation) => (operation === 'UpdateItem' ? { kind: 'slow', ms: SLOW_MS } : undefined);
  // The start has put the number of shards on record.
  proxy.counts.clear();
  await eventually(async () => {
    const askedAt = performance.now();
    t.equal(await inbox(), 200);
    if (!proxy.counts.has('UpdateItem')) throw new Error('its use is not stored yet');
    t.ok(performance.now() - askedAt >= SLOW_MS, 'the result waits for upkeep');
  });
  const { stdout } = await runKeys(env, 'list', '--json');
  t.match(stdout, /"last_used_at":\s*"/);
  await runKeys(env, 'revoke', keyId);
  await eventually(async () => {
    const status = await inbox();
    if (status !== 403) throw new Error(String(status));
  });
});
