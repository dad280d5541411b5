import t, { type Test } from 'tap';
import { openEmbeddedStore, type EmbeddedStore } from '../../../src/store/embedded/embedded-store.ts';
import { CorruptKeyError, StoreUnavailableError } from '../../../src/store/store-errors.ts';
import { openLmdb } from '../../../src/store/embedded/database.ts';
import { join } from 'node:path';
import { apiKey, keyStoreContract } from '../../contracts/key-store-contract.ts';
import { keysInSecondProcess } from '../../support/key-store-process.ts';
import { quietLog } from '../../support/quiet-log.ts';

keyStoreContract(t, async (t) => {
  const path = t.testdir();
  const { keys } = await open(t, path);
  return { keys, again: () => keysInSecondProcess(t, path) };
});

void t.test('keys survive a restart', async (t) => {
  const path = t.testdir();
  const store = await open(t, path);
  const key = apiKey({ lastUsedAt: 1_767_268_800_000_001 });
  await store.keys.create(key);
  await store.close();
  t.same(await (await open(t, path)).keys.get(key.keyId), key);
});

void t.test('a damaged record is an error for its reader, and nobody else', async (t) => {
  const path = t.testdir();
  const [sound, damaged] = [apiKey(), apiKey()];
  const before = await open(t, path);
  for (const key of [sound, damaged]) await before.keys.create(key);
  await before.close();
  const lmdb = openLmdb(join(path, 'store.mdb'), () => undefined);
  const id = Buffer.from(damaged.keyId);
  const record = Buffer.from(lmdb.keys.get(id) ?? []);
  record.writeUInt8(record.readUInt8(20) ^ 1, 20);
  await lmdb.keys.put(id, record);
  await lmdb.close();

  const reports: object[] = [];
  const { keys } = await open(t, path, (report) => reports.push(report));
  await t.rejects(keys.get(damaged.keyId), CorruptKeyError);
  await t.rejects(keys.update(damaged.keyId, { status: 'active' }), CorruptKeyError);
  await t.rejects(keys.touch(damaged.keyId, 1), CorruptKeyError);
  t.same(await keys.get(sound.keyId), sound);
  t.same(await keys.list(), [sound]);
  t.match(reports, [{ err: CorruptKeyError }]);
  t.equal(await keys.create(apiKey()), true, 'the store still writes');
});

void t.test('a closed store refuses', async (t) => {
  const store = await open(t, t.testdir());
  await store.close();
  const { keys } = store;
  const { keyId } = apiKey();
  await t.rejects(keys.get(keyId), StoreUnavailableError);
  await t.rejects(keys.getMany([keyId]), StoreUnavailableError);
  await t.rejects(keys.list(), StoreUnavailableError);
  await t.rejects(keys.create(apiKey()), StoreUnavailableError);
  await t.rejects(keys.update(keyId, { rateLimit: 1 }), StoreUnavailableError);
  await t.rejects(keys.touch(keyId, 1), StoreUnavailableError);
});

async function open(t: Test, path: string, onError?: (report: object) => void): Promise<EmbeddedStore> {
  const store = await openEmbeddedStore({
    path,
    now: () => Date.now() * 1000,
    eventTtl: 1e12,
    sweepSeconds: 0,
    log: {
      ...quietLog,
      error(report) {
        if (onError) onError(report);
        else t.fail('damage', report);
      },
      warn: () => undefined,
    },
    onFatal: (error) => t.fail(error),
  });
  t.teardown(() => store.close());
  return store;
}
