import { hashSync } from '@node-rs/bcrypt';
import t from 'tap';
import type { Principal } from '../../src/access/authenticator.ts';
import { createKeyAuthenticator, type KeyAuthenticatorOptions } from '../../src/access/key-authenticator.ts';
import { formatKey, generateKey } from '../../src/access/key-format.ts';
import { createLocalAuthenticator, LOCAL_KEY } from '../../src/access/local.ts';
import { createSecretVerifier } from '../../src/access/secret-verifier.ts';
import { StoreOverloadedError, StoreUnavailableError } from '../../src/store/store-errors.ts';
import type { ApiKey } from '../../src/store/key-store.ts';
import { apiKey } from '../contracts/key-store-contract.ts';
import { createMemoryKeyStore } from '../support/memory-key-store.ts';

const SECOND = 1000;
const WALL_START = 1_767_268_800_000;

const bcrypt = createSecretVerifier();
t.teardown(() => bcrypt.close());

/** An authenticator on a store that counts calls, with the real bcrypt thread, and a time that the test moves. */
function setup(options: Partial<KeyAuthenticatorOptions> = {}) {
  const keys = createMemoryKeyStore();
  const time = { now: 0, bcrypts: 0 };
  const backgroundErrors: unknown[] = [];
  let rounds: { work: () => Promise<void>; everyMs: number; stopped: boolean } | undefined;
  const authenticator = createKeyAuthenticator({
    keys,
    verifier: {
      verify(...args) {
        time.bcrypts++;
        return bcrypt.verify(...args);
      },
    },
    onBackgroundError: (error) => backgroundErrors.push(error),
    monotonicMs: () => time.now,
    wallMs: () => WALL_START + time.now,
    repeat(work, everyMs) {
      const started = { work, everyMs, stopped: false };
      rounds = started;
      return () => (started.stopped = true);
    },
    ...options,
  });
  return {
    keys,
    time,
    authenticator,
    ask: async (key: string) => authenticator.authenticate(key),
    backgroundErrors,
    rounds: () => rounds,
    /** Lets time pass, with rounds of background work at the interval that was set; `meanwhile` runs before each round. */
    pass: async (ms: number, meanwhile: () => unknown = () => undefined) => {
      const end = time.now + ms;
      const everyMs = rounds?.everyMs ?? Infinity;
      while (time.now < end) {
        const next = Math.min(end, (Math.floor(time.now / everyMs) + 1) * everyMs);
        time.now = next;
        await meanwhile();
        if (next % everyMs === 0) await rounds?.work();
      }
    },
  };
}

async function storedKey(keys: { create(key: ApiKey): Promise<boolean> }, overrides: Partial<ApiKey> = {}) {
  const parts = generateKey();
  const record = apiKey({ keyId: parts.keyId, hash: hashSync(parts.secret, 4), ...overrides });
  await keys.create(record);
  const principal: Principal = { keyId: parts.keyId, tenant: record.tenant, rateLimit: record.rateLimit };
  const wrongSecret = formatKey({ keyId: parts.keyId, secret: generateKey().secret });
  return { key: formatKey(parts), wrongSecret, record, principal, keyId: parts.keyId };
}

void t.test('a stored key acts for its tenant, under its limit', async (t) => {
  const { keys, authenticator } = setup();
  const { key, principal } = await storedKey(keys, { tenant: 'acme', rateLimit: 7 });
  t.same(await authenticator.authenticate(key), principal);
});

void t.test('a hit answers at once: no promise, no look-up, no bcrypt', async (t) => {
  const { keys, time, authenticator } = setup();
  const { key, principal } = await storedKey(keys);
  await authenticator.authenticate(key);
  const before = [{ ...keys.calls }, time.bcrypts];
  keys.down = true;
  for (let i = 0; i < 100; i++) {
    time.now += 100;
    t.same(authenticator.authenticate(key), principal);
  }
  t.same([keys.calls, time.bcrypts], before);
});

void t.test('a thousand first requests at once with one key cost one look-up and one bcrypt', async (t) => {
  const { keys, time, ask } = setup();
  const { key, principal } = await storedKey(keys);
  const answers = await Promise.all(Array.from({ length: 1000 }, () => ask(key)));
  t.ok(answers.every((answer) => answer === answers[0]));
  t.same(answers[0], principal);
  t.same([keys.calls.get, time.bcrypts], [1, 1]);
});

void t.test('a text that is not a key costs no look-up', (t) => {
  const { keys, authenticator } = setup();
  const key = formatKey(generateKey());
  const typo = key.slice(0, -1) + (key.endsWith('a') ? 'b' : 'a');
  for (const text of ['', 'nonsense', LOCAL_KEY, typo, key.replace('trg_', 'trg-'), '\u{1F511}']) {
    t.equal(authenticator.authenticate(text), 'unauthorized', text);
  }
  t.equal(keys.calls.get, 0);
  t.end();
});

void t.test('a refusal is remembered for five seconds', async (t) => {
  const { keys, time, authenticator } = setup();
  const { wrongSecret } = await storedKey(keys);
  const unknown = formatKey(generateKey());
  for (const key of [unknown, wrongSecret]) t.equal(await authenticator.authenticate(key), 'unauthorized');
  t.same([keys.calls.get, time.bcrypts], [2, 1], 'no bcrypt for an id that does not exist');
  time.now += 5 * SECOND - 1;
  for (const key of [unknown, wrongSecret]) t.equal(authenticator.authenticate(key), 'unauthorized');
  t.equal(keys.calls.get, 2);
  time.now += 1;
  for (const key of [unknown, wrongSecret]) t.equal(await authenticator.authenticate(key), 'unauthorized');
  t.same([keys.calls.get, time.bcrypts], [4, 1], 'read again, compared once: the hash is the same');
});

void t.test(
  'a hundred thousand wrong keys push no valid key out and fill no cache beyond its bound',
  async (t) => {
    const { keys, time, authenticator, ask } = setup({ cacheSize: 100 });
    const { key, principal } = await storedKey(keys);
    await authenticator.authenticate(key);
    const parts = generateKey();
    const wrong = (i: number) => formatKey({ ...parts, keyId: String(i).padStart(12, '0') });
    for (let i = 0; i < 100_000; i += 500) {
      await Promise.all(Array.from({ length: 500 }, (_, j) => ask(wrong(i + j))));
    }
    t.equal(keys.calls.get, 100_001);
    t.same(authenticator.authenticate(key), principal, 'still a hit');
    t.equal(authenticator.authenticate(wrong(99_999)), 'unauthorized', 'the newest refusals are known');
    t.equal(authenticator.authenticate(wrong(99_900)), 'unauthorized');
    t.ok(authenticator.authenticate(wrong(99_899)) instanceof Promise, 'the 101st newest is not');
    t.equal(time.bcrypts, 1);
  },
);

void t.test('too many different keys at once are refused as overload, not as unknown', async (t) => {
  const { keys, authenticator, ask } = setup();
  let open: (() => void) | undefined;
  keys.gate = new Promise((resolve) => (open = resolve));
  const wait = Array.from({ length: 1000 }, () => ask(formatKey(generateKey())));
  await t.rejects(ask(formatKey(generateKey())), StoreOverloadedError);
  open?.();
  t.ok((await Promise.all(wait)).every((answer) => answer === 'unauthorized'));
  t.equal(await authenticator.authenticate(formatKey(generateKey())), 'unauthorized', 'room again');
});

void t.test('an expired entry reads its record again, without bcrypt', async (t) => {
  const { keys, time, authenticator } = setup();
  const { key, keyId } = await storedKey(keys);
  await authenticator.authenticate(key);
  await keys.update(keyId, { rateLimit: 5 });
  time.now += 30 * SECOND;
  const again = authenticator.authenticate(key);
  t.ok(again instanceof Promise);
  t.match(await again, { keyId, rateLimit: 5 });
  t.same([keys.calls.get, time.bcrypts], [2, 1]);
});

void t.test('a rotated hash is noticed when the entry expires, and by the renewal before that', async (t) => {
  for (const ahead of [false, true]) {
    const { keys, time, authenticator, pass } = setup();
    const { key, record } = await storedKey(keys);
    await authenticator.authenticate(key);
    keys.records.set(record.keyId, { ...record, hash: hashSync('another secret', 4) });
    if (ahead) await pass(27 * SECOND, () => authenticator.authenticate(key));
    else time.now += 30 * SECOND;
    t.equal(await authenticator.authenticate(key), 'unauthorized');
    t.equal(time.bcrypts, 2);
  }
});

void t.test('a key in use is renewed ahead of time, so no request waits for it', async (t) => {
  const { keys, time, authenticator, pass, rounds } = setup();
  const { key, principal } = await storedKey(keys);
  await authenticator.authenticate(key);
  await pass(300 * SECOND, () => {
    t.same(authenticator.authenticate(key), principal);
  });
  t.same([keys.calls.get, time.bcrypts], [1, 1]);
  t.ok(
    keys.calls.getMany >= 10 && keys.calls.getMany <= 13,
    `${String(keys.calls.getMany)} renewals in 300 s`,
  );
  await authenticator.close();
  t.equal(rounds()?.stopped, true);
});

void t.test('a key out of use is not renewed', async (t) => {
  const { keys, authenticator, pass } = setup();
  const { key } = await storedKey(keys);
  await authenticator.authenticate(key);
  await pass(300 * SECOND);
  t.equal(keys.calls.getMany, 0);
});

void t.test('a thousand active keys are renewed in batches, without bcrypt', async (t) => {
  const { keys, time, authenticator, ask, pass } = setup();
  const all = await Promise.all(
    Array.from({ length: 1000 }, () => storedKey(keys, { hash: hashSync('x', 4) })),
  );
  // One secret for all: what counts here is what happens after the first look-up.
  const presented = all.map(({ keyId }) => formatKey({ keyId, secret: 'x'.repeat(22) }));
  const hash = hashSync('x'.repeat(22), 4);
  for (const { record } of all) keys.records.set(record.keyId, { ...record, hash });
  for (let i = 0; i < 1000; i += 50) {
    await Promise.all(presented.slice(i, i + 50).map(ask));
  }
  t.equal(time.bcrypts, 1000);
  const cpu = process.cpuUsage();
  await pass(300 * SECOND, () => {
    for (const key of presented) {
      if (authenticator.authenticate(key) instanceof Promise) t.fail('a miss');
    }
  });
  const { user, system } = process.cpuUsage(cpu);
  t.comment(`1,000 keys, 300 s of upkeep, 100,000 requests: ${String((user + system) / 1000)} ms of CPU`);
  t.ok(user + system < 3e6, 'less than 1 % of a core');
  t.equal(time.bcrypts, 1000);
  t.ok(keys.calls.getMany <= 130, `${String(keys.calls.getMany)} batches in 300 s`);
  t.ok(keys.calls.touch <= 6000, 'at most one note a minute and key');
});

void t.test(
  'revoked and inactive keys are forbidden within the cache time, and active ones return',
  async (t) => {
    for (const status of ['revoked', 'inactive'] as const) {
      const { keys, authenticator, pass } = setup();
      const used = await storedKey(keys);
      const idle = await storedKey(keys);
      for (const { key } of [used, idle]) await authenticator.authenticate(key);
      await pass(1 * SECOND);
      for (const { keyId } of [used, idle]) await keys.update(keyId, { status });
      await pass(29 * SECOND, () => authenticator.authenticate(used.key));
      for (const { key } of [used, idle]) t.equal(await authenticator.authenticate(key), 'forbidden');
      for (const { keyId } of [used, idle]) await keys.update(keyId, { status: 'active' });
      await pass(5 * SECOND);
      for (const { key, principal } of [used, idle]) t.same(await authenticator.authenticate(key), principal);
    }
  },
);

void t.test('a wrong secret is unauthorized whatever the status of the key', async (t) => {
  const { keys, authenticator } = setup();
  for (const status of ['active', 'revoked', 'inactive'] as const) {
    const { key, wrongSecret } = await storedKey(keys, { status });
    t.equal(await authenticator.authenticate(wrongSecret), 'unauthorized', status);
    t.equal((await authenticator.authenticate(key)) === 'forbidden', status !== 'active', status);
    t.equal(await authenticator.authenticate(wrongSecret), 'unauthorized', status);
  }
});

void t.test('a key deleted from the store is unauthorized', async (t) => {
  const { keys, authenticator, pass } = setup();
  const { key, keyId } = await storedKey(keys);
  await authenticator.authenticate(key);
  keys.records.delete(keyId);
  await pass(30 * SECOND, () => authenticator.authenticate(key));
  t.equal(await authenticator.authenticate(key), 'unauthorized');
});

void t.test(
  'while the store is down a cached key works until its time is over, and an uncached one is not refused',
  async (t) => {
    const { keys, authenticator, ask, pass, backgroundErrors } = setup();
    const cached = await storedKey(keys);
    const uncached = await storedKey(keys);
    await authenticator.authenticate(cached.key);
    keys.down = true;
    await t.rejects(ask(uncached.key), StoreUnavailableError);
    await pass(30 * SECOND - 1, () => {
      t.same(authenticator.authenticate(cached.key), cached.principal);
    });
    t.ok(
      backgroundErrors.length > 0 &&
        backgroundErrors.every((error) => error instanceof StoreUnavailableError),
    );
    await pass(1);
    await t.rejects(ask(cached.key), StoreUnavailableError);
    keys.down = false;
    for (const { key, principal } of [cached, uncached])
      t.same(await authenticator.authenticate(key), principal);
  },
);

void t.test('a look-up that fails is not remembered', async (t) => {
  const { keys, authenticator, ask } = setup();
  const { key, principal } = await storedKey(keys);
  keys.down = true;
  const many = await Promise.allSettled([1, 2, 3].map(() => ask(key)));
  t.ok(many.every((outcome) => outcome.status === 'rejected'));
  t.equal(keys.calls.get, 1);
  keys.down = false;
  t.same(await authenticator.authenticate(key), principal);
});

void t.test('the last use is stored at most once a minute, in the background', async (t) => {
  const { keys, authenticator, pass } = setup();
  const { key, keyId } = await storedKey(keys);
  await authenticator.authenticate(key);
  t.equal(keys.calls.touch, 0);
  await pass(10 * 60 * SECOND, () => authenticator.authenticate(key));
  t.ok(
    keys.touches.length >= 9 && keys.touches.length <= 11,
    `${String(keys.touches.length)} in ten minutes`,
  );
  const times = keys.touches.map(([, usedAt]) => usedAt);
  t.ok(times.slice(1).every((time, i) => time - (times[i] ?? 0) >= 60e6));
  t.equal(times[0], WALL_START * 1000 + 3e6);
  t.ok(keys.touches.every(([id]) => id === keyId));
});

void t.test('a use that another instance has stored is not stored again', async (t) => {
  const { keys, authenticator, pass } = setup();
  const { key } = await storedKey(keys, { lastUsedAt: (WALL_START - 1000) * 1000 });
  await authenticator.authenticate(key);
  await pass(50 * SECOND, () => authenticator.authenticate(key));
  t.equal(keys.calls.touch, 0);
  await pass(15 * SECOND, () => authenticator.authenticate(key));
  t.equal(keys.calls.touch, 1);
});

void t.test('closing stores the uses that are not stored yet', async (t) => {
  const { keys, authenticator, time } = setup();
  const { key, keyId } = await storedKey(keys);
  time.now = 1234.5;
  await authenticator.authenticate(key);
  await authenticator.close();
  t.same(keys.touches, [[keyId, WALL_START * 1000 + 1_234_500]]);
});

void t.test('local mode takes the fixed key and stored ones', async (t) => {
  const { keys, authenticator } = setup();
  const local = createLocalAuthenticator(authenticator);
  const { key, principal, wrongSecret } = await storedKey(keys);
  t.same(local.authenticate(LOCAL_KEY), { keyId: 'local', tenant: 'default', rateLimit: null });
  t.same(await local.authenticate(key), principal);
  t.same(local.authenticate(key), principal, 'from the cache');
  t.equal(await local.authenticate(wrongSecret), 'unauthorized');
  t.equal(local.authenticate('test-api-key-12346'), 'unauthorized');
});

void t.test('each presented key is reported once, by how it was answered', async (t) => {
  const answers: string[] = [];
  const { keys, authenticator } = setup({ observe: (answer) => answers.push(answer) });
  const made = generateKey();
  const presented = formatKey(made);
  await keys.create(apiKey({ keyId: made.keyId, hash: hashSync(made.secret, 4) }));
  await Promise.all([authenticator.authenticate(presented), authenticator.authenticate(presented)]);
  await authenticator.authenticate(presented);
  const unknown = formatKey(generateKey());
  await authenticator.authenticate(unknown);
  await authenticator.authenticate(unknown);
  await authenticator.authenticate('no key');
  t.strictSame(answers, ['miss', 'shared', 'hit', 'miss', 'hit_refused', 'malformed']);
});
