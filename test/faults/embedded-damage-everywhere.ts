import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import t from 'tap';
import { CorruptEventError, CorruptKeyError } from '../../src/store/store-errors.ts';
import type { ApiKey } from '../../src/store/key-store.ts';
import type { Name } from '../support/embedded.ts';
import { entries, flipped, openRoot, openTestStore, tablesOf, TTL } from '../support/embedded.ts';

const TABLES: readonly Name[] = ['events', 'ids', 'inbox', 'done', 'keys', 'claims', 'claims-by-expiry'];
const LONGEST_KEY = 1_978;

interface Entry {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** What becomes of an entry; null: it is gone. */
type Damage = (entry: Entry) => Entry | null;

const grown = (buffer: Buffer, length: number) =>
  Buffer.concat([buffer, Buffer.alloc(length - buffer.length, 7)]);
const onKey =
  (change: (key: Buffer) => Buffer): Damage =>
  ({ key, value }) => ({ key: change(key), value });
const onValue =
  (change: (value: Buffer) => Buffer): Damage =>
  ({ key, value }) => ({ key, value: change(value) });

const DAMAGES: Record<string, Damage> = {
  'the entry is gone': () => null,
  'key, one byte left': onKey((key) => key.subarray(0, 1)),
  'key, one byte less': onKey((key) => key.subarray(0, -1)),
  'key, one byte more': onKey((key) => grown(key, key.length + 1)),
  'key, as long as can be': onKey((key) => grown(key, LONGEST_KEY)),
  'key, no NUL': onKey((key) => Buffer.from(key.map((byte) => byte || 1))),
  'value, empty': onValue(() => Buffer.alloc(0)),
  'value, one byte left': onValue((value) => value.subarray(0, 1)),
  'value, half': onValue((value) => value.subarray(0, value.length / 2)),
  'value, one byte less': onValue((value) => value.subarray(0, -1)),
  'value, one byte more': onValue((value) => grown(value, value.length + 1)),
  'value, 100 KB': onValue((value) => grown(value, 100_000)),
  'value, zeros': onValue((value) => Buffer.alloc(value.length)),
  'value, ones': onValue((value) => Buffer.alloc(value.length, 0xff)),
};
for (const place of [0, 0.13, 0.25, 0.4, 0.6, 0.8, 0.999]) {
  const at = (buffer: Buffer) => Math.floor(buffer.length * place);
  DAMAGES[`key, a bit at ${String(place)}`] = onKey((key) => flipped(key, at(key)));
  DAMAGES[`value, a bit at ${String(place)}`] = onValue((value) =>
    value.length === 0 ? value : flipped(value, at(value)),
  );
}

const claim = (name: string, expiresAt: number) => ({
  key: name.repeat(64),
  fingerprint: 'f'.repeat(64),
  expiresAt,
});

/** A folder with three entries and more in each table; the second is the one to be damaged. */
async function makeFolder(t: Test, path: string) {
  const { store, clock, event, addOwn, add } = await openTestStore(t, path);
  const events = [await add(), await add(), await addOwn(), await addOwn(), await add({ tenant: 'other' })];
  for (const name of ['a', 'b', 'c']) {
    const one = event();
    await store.append(one, claim(name, clock.time + TTL));
    events.push(one);
  }
  for (let n = 0; n < 3; n++) {
    const one = await add();
    await store.acknowledge('acme', one.id, ++clock.time);
    events.push(one);
  }
  const keys = ['k1', 'k2', 'k3'].map((keyId): ApiKey => ({
    ...{ keyId, hash: 'h', name: 'n', tenant: 'acme', status: 'active', rateLimit: 1 },
    ...{ createdAt: clock.time, lastUsedAt: null },
  }));
  for (const key of keys) await store.keys.create(key);
  const { time } = clock;
  await store.close();
  return { events, time };
}

/** Damages may be told to who asks, and nothing else. */
async function tolerant<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof CorruptEventError || error instanceof CorruptKeyError) return undefined;
    throw error;
  }
}

type Opened = Awaited<ReturnType<typeof openTestStore>>;
type Made = Awaited<ReturnType<typeof makeFolder>>;

async function useAll({ store, event, clock }: Opened, { events }: Made): Promise<void> {
  for (const tenant of ['acme', 'other']) {
    for (const filter of [{}, { type: 'order.created' }]) {
      let after: string | null = null;
      for (let pages = 0; pages < 50; pages++) {
        const page = await store.listPending(tenant, { limit: 1, after, ...filter });
        if ((after = page.next) === null) break;
      }
      if (after !== null) throw new Error('a walk without an end');
    }
    await store.countPending(tenant);
  }
  for (const { id, tenant } of events) {
    await tolerant(store.get(tenant, id));
    await tolerant(store.acknowledge(tenant, id, ++clock.time));
  }
  for (const name of ['a', 'b', 'c', 'd']) {
    await tolerant(store.append(event(), claim(name, clock.time + TTL)));
  }
  for (const { id, tenant } of events.slice(0, 3)) await tolerant(store.remove(tenant, id));
  for (const keyId of ['k1', 'k2', 'k3']) {
    await tolerant(store.keys.get(keyId));
    await tolerant(store.keys.update(keyId, { rateLimit: 5 }));
    await tolerant(store.keys.touch(keyId, clock.time));
  }
  await tolerant(store.keys.getMany(['k1', 'k2', 'k3']));
  await store.keys.list();
}

for (const table of TABLES) {
  void t.test(`no damage in ${table} ends or hangs anything`, async (t) => {
    const template = join(t.testdir(), 'template');
    const made = await makeFolder(t, template);
    for (const [index, [what, damageIt]] of Object.entries(DAMAGES).entries()) {
      const path = join(t.testdirName, String(index));
      mkdirSync(path);
      copyFileSync(join(template, 'store.mdb'), join(path, 'store.mdb'));
      await damageFolder(t, path, table, damageIt);
      const opened = await openTestStore(t, path);
      const { store, clock, damage } = opened;
      try {
        clock.time = made.time;
        await store.sweep();
        clock.time += TTL / 2;
        await useAll(opened, made);
        damage.length = 0;
        clock.time += 3 * TTL;
        await store.sweep();
        t.ok(damage.length <= 1, `${what}: told once, not ${damage.join(', ')}`);
        await opened.add();
        t.equal(await store.sweep(), 0, `${what}: nothing is left to be swept`);
        // A key of the inbox that has turned into one of the future is like any other until its event is asked for.
        const { count } = await store.countPending('acme');
        t.ok(count === 1 || (count === 2 && table === 'inbox'), `${what}: ${String(count)} pending`);
        t.equal((await opened.inbox()).length, 1, what);
      } catch (error) {
        t.fail(`${what}: ${String(error)}`, { cause: error });
      }
      await store.close();
    }
  });
}

async function damageFolder(t: Test, path: string, table: Name, damageIt: Damage): Promise<void> {
  const root = openRoot(t, path);
  const raw = tablesOf(root);
  const entry = entries(raw[table])[1];
  if (entry === undefined) throw new Error(`nothing in ${table}`);
  const damaged = damageIt(entry);
  await raw[table].remove(entry.key);
  if (damaged !== null) await raw[table].put(damaged.key, damaged.value);
  await root.close();
}
