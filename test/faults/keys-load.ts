import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import t from 'tap';
import { runColdKeys } from '../../bench/load/cold-keys.ts';
import { send } from '../../bench/load/send.ts';
import { CREATE } from '../../bench/load/traffic.ts';
import { formatKey, generateKey } from '../../src/access/key-format.ts';
import { hashSecret } from '../../src/access/secret-hash.ts';
import { openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import { apiKey } from '../contracts/key-store-contract.ts';
import { createKey, keysJson, runKeys } from '../support/keys-cli.ts';
import { startService } from '../support/process.ts';

void t.test('two hundred keys are verified for the first time while others are served', async (t) => {
  const env = { DATA_DIR: t.testdir(), AUTH_MODE: 'keys', LOG_LEVEL: 'warn' };
  const made = await makeKeys(env.DATA_DIR, 201);
  const { url } = await startService(t, { ...env, LOG_LEVEL: 'info' });
  const [key = '', ...coldKeys] = made;
  const created = await send(new Agent(), { url, key }, CREATE);
  t.equal(created.status, 201);

  const { firstUse, health, known } = await runColdKeys({ url, key, pid: null, coldKeys });
  t.match(firstUse, { requests: coldKeys.length, errors: 0, firstError: null }, 'all get in');
  t.match(health, { errors: 0, firstError: null }, 'health is answered while keys are verified');
  t.match(known, { errors: 0, firstError: null }, 'and so is a known key');
  t.comment(
    `200 keys verified in ${firstUse.latency.max.toFixed(0)} ms; ` +
      `GET /v1/health p99 ${health.latency.p99.toFixed(1)} ms of ${String(health.requests)}, ` +
      `POST /v1/events with a known key p99 ${known.latency.p99.toFixed(1)} ms of ${String(known.requests)}`,
  );
  // On an idle machine 20 and 50 ms; bcrypt on the event loop or in libuv's pool takes these beyond a second.
  t.ok(health.latency.p99 < 200, 'health');
  t.ok(known.latency.p99 < 500, 'a known key');
});

void t.test('no secret is in any log line, argument list or process title', async (t) => {
  const env = {
    DATA_DIR: t.testdir(),
    AUTH_MODE: 'keys',
    LOG_LEVEL: 'trace',
    API_KEY_CACHE_TTL_SECONDS: '1',
  };
  const { key, keyId } = await createKey(runKeys, env);
  const wrong = formatKey({ keyId, secret: generateKey().secret });
  const service = await startService(t, env);
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => {
    agent.destroy();
  });
  const call = async (method: 'GET' | 'POST', path: string, presented: string) => {
    const { status } = await send(
      agent,
      { url: service.url, key: presented },
      { method, path, ...(method === 'POST' ? { body: CREATE.body ?? '' } : {}) },
    );
    return status;
  };
  t.equal(await call('POST', '/v1/events', key), 201);
  t.equal(await call('GET', `/v1/inbox?key=${key}`, key), 400);
  t.equal(await call('GET', `/v1/events/${key}`, key), 422);
  t.equal(await call('GET', '/v1/inbox', wrong), 401);
  t.equal(await call('GET', '/v1/inbox', `${key}x`), 401);
  t.equal(await call('GET', `/${key}`, key), 404);
  await keysJson(runKeys, env, 'revoke', keyId);
  const end = performance.now() + 1_500;
  while ((await call('GET', '/v1/inbox', key)) !== 403 && performance.now() < end);
  const listed = await runKeys(env, 'list');
  // Only Linux shows them as files.
  const files = process.platform === 'linux' ? ['cmdline', 'comm'] : [];
  const seen = files.map((name) => readFileSync(`/proc/${String(service.child.pid)}/${name}`, 'utf8'));
  service.child.kill('SIGTERM');
  t.equal(await service.ended, 0);
  const output = [service.output(), listed.stdout, listed.stderr, ...seen].join('\n');
  t.match(output, keyId, 'ids are there');
  for (const secret of [key, wrong].map((text) => text.split('_')[2] ?? '')) {
    t.notMatch(output, secret.slice(0, 22));
  }
  t.notMatch(output, /\$2[aby]\$/, 'nor is a hash');
});

/** Keys in a data folder that nobody has open. */
async function makeKeys(path: string, count: number): Promise<string[]> {
  const store = await openEmbeddedStore({
    path,
    now: () => Date.now() * 1000,
    eventTtl: 1e12,
    log: console,
    onFatal: (error) => {
      throw error;
    },
  });
  // One secret for all, hashed once, which makes no difference to the verifier.
  const { secret } = generateKey();
  const hash = hashSecret(secret);
  const made = Array.from({ length: count }, () => ({ ...generateKey(), secret }));
  for (const { keyId } of made) await store.keys.create(apiKey({ keyId, hash }));
  await store.close();
  return made.map(formatKey);
}
