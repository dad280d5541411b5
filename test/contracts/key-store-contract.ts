import { randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import { generateKey } from '../../src/access/key-format.ts';
import { KEY_BATCH, type ApiKey, type KeyStore } from '../../src/store/key-store.ts';

/** An empty key store. `again` opens the same data as a second process would. */
export interface KeyStoreUnderTest {
  readonly keys: KeyStore;
  readonly again: () => Promise<KeyStore>;
}

export function apiKey(overrides: Partial<ApiKey> = {}): ApiKey {
  return {
    keyId: generateKey().keyId,
    hash: `$2b$04$${randomUUID()}`,
    name: 'Zoë’s billing service',
    tenant: 'acme_EU-1',
    status: 'active',
    rateLimit: 60_000,
    createdAt: 1_767_268_800_123_456,
    lastUsedAt: null,
    ...overrides,
  };
}

/** What every adapter promises. `open` gives each test an empty store, and cleans up with `t.teardown`. */
export function keyStoreContract(t: Test, open: (t: Test) => Promise<KeyStoreUnderTest>): void {
  const contract = (name: string, body: (t: Test, store: KeyStoreUnderTest) => Promise<void>) => {
    void t.test(name, async (t) => {
      await body(t, await open(t));
    });
  };

  contract('a created key reads back field by field', async (t, { keys }) => {
    const made = [
      apiKey(),
      apiKey({ name: 'x'.repeat(255), tenant: 'a', status: 'inactive', rateLimit: 1 }),
      apiKey({ status: 'revoked', rateLimit: 2 ** 31, lastUsedAt: 1_767_268_800_999_999 }),
    ];
    for (const key of made) t.equal(await keys.create(key), true);
    for (const key of made) t.same(await keys.get(key.keyId), key);
  });

  contract('an unknown id has no key', async (t, { keys }) => {
    await keys.create(apiKey());
    t.equal(await keys.get(generateKey().keyId), undefined);
  });

  contract('an id is taken once, and the first key stays', async (t, { keys }) => {
    const first = apiKey();
    t.equal(await keys.create(first), true);
    t.equal(await keys.create(apiKey({ keyId: first.keyId, tenant: 'other', status: 'revoked' })), false);
    t.same(await keys.get(first.keyId), first);
  });

  contract('of many who create one id at once, one succeeds', async (t, { keys, again }) => {
    const keyId = generateKey().keyId;
    const other = await again();
    const made = Array.from({ length: 10 }, (_, i) => apiKey({ keyId, name: `caller ${String(i)}` }));
    const answers = await Promise.all(made.map((key, i) => (i % 2 ? other : keys).create(key)));
    t.equal(answers.filter(Boolean).length, 1);
    t.same(await keys.get(keyId), made[answers.indexOf(true)]);
  });

  updates(contract);
  uses(contract);
  listing(contract);
}

type Contract = (name: string, body: (t: Test, store: KeyStoreUnderTest) => Promise<void>) => void;

function updates(contract: Contract): void {
  contract('an update changes what it names and nothing else', async (t, { keys }) => {
    const key = apiKey({ lastUsedAt: 1_767_268_800_000_000 });
    const bystander = apiKey();
    await keys.create(key);
    await keys.create(bystander);
    t.same(await keys.update(key.keyId, { status: 'revoked' }), { ...key, status: 'revoked' });
    t.same(await keys.update(key.keyId, { rateLimit: 7 }), { ...key, status: 'revoked', rateLimit: 7 });
    const back = { status: 'active', rateLimit: 8 } as const;
    t.same(await keys.update(key.keyId, back), { ...key, ...back });
    t.same(await keys.get(key.keyId), { ...key, ...back });
    t.same(await keys.get(bystander.keyId), bystander);
  });

  contract('an update of an unknown id writes nothing', async (t, { keys }) => {
    t.equal(await keys.update(generateKey().keyId, { status: 'active' }), undefined);
    t.same(await keys.list(), []);
  });

  contract('a second process sees each write at once, and is seen', async (t, { keys, again }) => {
    const other = await again();
    const key = apiKey();
    await keys.create(key);
    t.same(await other.get(key.keyId), key);
    await other.update(key.keyId, { status: 'revoked' });
    t.match(await keys.get(key.keyId), { status: 'revoked' });
    await keys.update(key.keyId, { status: 'active' });
    t.match(await other.getMany([key.keyId]), [{ status: 'active' }]);
  });

  contract('updates of one key at once all take effect', async (t, { keys, again }) => {
    const key = apiKey();
    const other = await again();
    await keys.create(key);
    await Promise.all([
      keys.update(key.keyId, { status: 'inactive' }),
      other.update(key.keyId, { rateLimit: 5 }),
      keys.touch(key.keyId, 1_767_268_801_000_000),
    ]);
    const changed = { status: 'inactive', rateLimit: 5, lastUsedAt: 1_767_268_801_000_000 };
    t.same(await keys.get(key.keyId), { ...key, ...changed });
  });
}

function uses(contract: Contract): void {
  contract('the time of the last use goes forward only', async (t, { keys }) => {
    const key = apiKey();
    await keys.create(key);
    for (const usedAt of [1_767_268_800_000_010, 1_767_268_800_000_030, 1_767_268_800_000_020]) {
      await keys.touch(key.keyId, usedAt);
    }
    t.same(await keys.get(key.keyId), { ...key, lastUsedAt: 1_767_268_800_000_030 });
  });

  contract('the use of an unknown id makes no key', async (t, { keys }) => {
    await keys.touch(generateKey().keyId, 1_767_268_800_000_010);
    t.same(await keys.list(), []);
  });
}

function listing(contract: Contract): void {
  contract('a list has every key, the oldest first', async (t, { keys }) => {
    const start = 1_767_268_800_000_000;
    const made = [4, 1, 3, 0, 2].map((i) =>
      apiKey({ createdAt: start + i * 1000, name: `key ${String(i)}` }),
    );
    for (const key of made) await keys.create(key);
    t.same(
      await keys.list(),
      made.toSorted((a, b) => a.createdAt - b.createdAt),
    );
  });

  contract('a full batch is read in one go, unknown ids left out', async (t, { keys }) => {
    const made = Array.from({ length: KEY_BATCH - 1 }, () => apiKey());
    await Promise.all(made.map((key) => keys.create(key)));
    const ids = [...made.map((key) => key.keyId), generateKey().keyId];
    const byId = (a: ApiKey, b: ApiKey) => (a.keyId < b.keyId ? -1 : 1);
    t.same([...(await keys.getMany(ids))].sort(byId), made.toSorted(byId));
    t.same(await keys.getMany([]), []);
  });
}
