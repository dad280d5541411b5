import t from 'tap';
import { CorruptEventError } from '../../../src/store/store-errors.ts';
import { entries, flipped, MARGIN, openRaw, openTestStore, TTL } from '../../support/embedded.ts';

/** An id is the store's own, which encodes the place of its event, or another one, which needs an index entry. */
type IdKind = 'own' | 'foreign';

/** Three events of one tenant; the second is the one to be damaged. */
async function setUp(t: Parameters<typeof openTestStore>[0], kind: IdKind = 'own') {
  const path = t.testdir();
  const opened = await openTestStore(t, path);
  const add = kind === 'own' ? opened.addOwn : opened.add;
  const before = await add({ type: 'other' });
  const victim = await add({ metadata: '{"n":1}', payload: '{"text":"ünïcode"}' });
  const after = await add({ type: 'other' });
  const raw = openRaw(t, path);
  const entryOf = (name: keyof typeof raw, index: number) => {
    const entry = entries(raw[name])[index];
    if (entry === undefined) throw new Error(`no entry ${String(index)} in ${name}`);
    return entry;
  };
  /** Writes behind the store's back. */
  const put = async (name: keyof typeof raw, key: Buffer, value: Buffer | null) => {
    if (value === null) raw[name].removeSync(key);
    else raw[name].putSync(key, value);
    await opened.refresh();
  };
  return { ...opened, path, raw, before, victim, after, entryOf, put };
}

type SetUp = Awaited<ReturnType<typeof setUp>>;

function idEntryOf({ raw, victim }: SetUp): { key: Buffer; value: Buffer } {
  const found = entries(raw.ids).find(({ key }) => key.toString('hex') === victim.id.replaceAll('-', ''));
  if (found === undefined) throw new Error('no id entry');
  return found;
}

async function isCorrupt(call: Promise<unknown>): Promise<boolean> {
  return call.then(
    () => false,
    (error: unknown) => error instanceof CorruptEventError,
  );
}

for (const kind of ['own', 'foreign'] as const) {
  void t.test(`a flipped bit anywhere in an event record is an error (${kind} id)`, async (t) => {
    const { store, before, victim, after, inbox, damage, clock, entryOf, put } = await setUp(t, kind);
    const { key, value } = entryOf('events', 1);
    const wrong: number[] = [];
    for (let index = 0; index < value.length; index++) {
      await put('events', key, flipped(value, index));
      damage.length = 0;
      const refused =
        (await isCorrupt(store.get('acme', victim.id))) &&
        (await isCorrupt(store.acknowledge('acme', victim.id, ++clock.time)));
      const listed = (await inbox()).map(({ id }) => id);
      const told = damage.length === 1;
      if (!refused || !told || listed.join() !== [before.id, after.id].join()) wrong.push(index);
    }
    t.strictSame(wrong, [], 'bytes whose damage went unseen');
    t.strictSame(await store.get('acme', after.id), after);
    await put('events', key, value);
    t.strictSame(await inbox(), [before, victim, after], 'nothing else was changed');
  });
}

void t.test('a record that is cut short, empty or of another format is an error', async (t) => {
  const { store, victim, entryOf, put } = await setUp(t, 'foreign');
  const { key, value } = entryOf('events', 1);
  for (const length of [1, 4, 5, 20, 46, 47, value.length - 1]) {
    await put('events', key, value.subarray(0, length));
    t.ok(await isCorrupt(store.get('acme', victim.id)), `${String(length)} bytes`);
  }
  await put('events', key, null);
  t.ok(await isCorrupt(store.get('acme', victim.id)), 'no record');
});

void t.test('a record under another key is an error', async (t) => {
  const { store, victim, inbox, before, entryOf, put } = await setUp(t);
  const [victimEntry, afterEntry] = [entryOf('events', 1), entryOf('events', 2)];
  await put('events', victimEntry.key, afterEntry.value);
  t.ok(await isCorrupt(store.get('acme', victim.id)));
  t.match(await inbox(), [{ id: before.id }, { id: /./ }]);
});

void t.test('a flipped bit in the id index is an error only for that event', async (t) => {
  const opened = await setUp(t, 'foreign');
  const { store, before, victim, after, inbox, clock, put } = opened;
  const idEntry = idEntryOf(opened);
  const wrong: number[] = [];
  for (let index = 0; index < idEntry.value.length; index++) {
    await put('ids', idEntry.key, flipped(idEntry.value, index));
    const refused =
      (await isCorrupt(store.get('acme', victim.id))) &&
      (await isCorrupt(store.acknowledge('acme', victim.id, ++clock.time))) &&
      (await isCorrupt(store.remove('acme', victim.id)));
    if (!refused) wrong.push(index);
  }
  t.strictSame(wrong, []);
  t.strictSame(await store.get('acme', before.id), before);
  t.strictSame(await inbox(), [before, victim, after], 'the inbox does without it');
});

void t.test('a flipped bit in the inbox index changes no page, filtered or not', async (t) => {
  const { before, victim, after, inbox, entryOf, put } = await setUp(t);
  const { key, value } = entryOf('inbox', 1);
  for (let index = 0; index < value.length; index++) {
    await put('inbox', key, flipped(value, index));
    t.strictSame(await inbox(), [before, victim, after]);
    t.strictSame(await inbox({ type: victim.type }), [victim], `byte ${String(index)}, its type`);
    t.strictSame(await inbox({ type: 'other' }), [before, after], `byte ${String(index)}, another type`);
    t.strictSame(await inbox({ source: 'shop', type: victim.type }), [victim]);
  }
});

void t.test('an inbox entry without a pending event is reported and left out', async (t) => {
  const { store, before, victim, after, inbox, damage, clock, entryOf, put } = await setUp(t);
  const { key, value } = entryOf('inbox', 1);
  await store.acknowledge('acme', victim.id, ++clock.time);
  await put('inbox', key, value);
  t.strictSame(await inbox(), [before, after]);
  t.match(damage, [/not pending/]);
});

void t.test('a damaged event can be removed', async (t) => {
  const { store, raw, before, victim, after, inbox, entryOf, put } = await setUp(t);
  const { key, value } = entryOf('events', 1);
  await put('events', key, flipped(value, 20));
  t.equal(await store.remove('other', victim.id), false);
  t.equal(await store.remove('acme', victim.id), true);
  t.equal(await store.get('acme', victim.id), undefined);
  t.strictSame(await inbox(), [before, after]);
  t.strictSame(await store.countPending('acme'), { count: 2, exact: true });
  t.strictSame(entries(raw.events).length, 2);
});

void t.test('the sweep gets past damaged records and indexes', async (t) => {
  const damages: Record<string, readonly [IdKind, (opened: SetUp) => Promise<void>]> = {
    'id in a record, own': ['own', (opened) => damageRecord(opened, 15)],
    'tenant in a record, own': ['own', (opened) => damageRecord(opened, 48)],
    'id in a record, foreign': ['foreign', (opened) => damageRecord(opened, 15)],
    'index entry': [
      'foreign',
      (opened) => {
        const { key, value } = idEntryOf(opened);
        return opened.put('ids', key, flipped(value, value.length - 1));
      },
    ],
  };
  for (const [what, [kind, damageIt]] of Object.entries(damages)) {
    const opened = await setUp(t, kind);
    const { store, raw, clock, add, damage } = opened;
    await damageIt(opened);
    clock.time += TTL + MARGIN;
    const young = await add();
    t.equal(await store.sweep(), 3, what);
    t.match(damage, [/disagrees with the index/]);
    t.equal(entries(raw.events).length, 1);
    t.equal(entries(raw.inbox).length, 1);
    t.strictSame(await store.countPending('acme'), { count: 1, exact: true });
    t.strictSame(await store.get('acme', young.id), young);
    await store.close();
  }
});

function damageRecord({ entryOf, put }: SetUp, index: number): Promise<void> {
  const { key, value } = entryOf('events', 1);
  return put('events', key, flipped(value, index));
}

void t.test('an event whose id encodes its place needs no index entry and leaves none', async (t) => {
  const { store, raw, clock, before, victim, after } = await setUp(t);
  t.strictSame(entries(raw.ids), []);
  t.strictSame(await store.get('acme', victim.id), victim);
  t.equal(await store.get('other', victim.id), undefined);
  t.match(await store.acknowledge('acme', victim.id, ++clock.time), { outcome: 'acknowledged' });
  t.equal(await store.remove('acme', before.id), true);
  t.equal(await store.get('acme', before.id), undefined);
  clock.time = after.createdAt + TTL + MARGIN;
  t.equal(await store.sweep(), 2);
  for (const table of Object.values(raw)) t.strictSame(entries(table), []);
});

void t.test('an id that encodes the place of another event finds nothing', async (t) => {
  const { store, victim } = await setUp(t);
  const forged = store.newId('acme', victim.createdAt);
  t.equal(await store.get('acme', forged), undefined);
  t.match(await store.acknowledge('acme', forged, victim.createdAt + 1), { outcome: 'missing' });
  t.equal(await store.remove('acme', forged), false);
  t.strictSame(await store.get('acme', victim.id), victim);
});

void t.test('a damaged record belongs to nobody else, whatever place an id encodes', async (t) => {
  for (const byte of [15, 48, 70]) {
    const opened = await setUp(t);
    const { store, raw, victim } = opened;
    await damageRecord(opened, byte);
    const forged = store.newId('other', victim.createdAt);
    t.equal(await store.get('other', forged), undefined);
    t.match(await store.acknowledge('other', forged, victim.createdAt + 1), { outcome: 'missing' });
    t.equal(await store.remove('other', forged), false);
    t.equal(entries(raw.events).length, 3);
    t.ok(await isCorrupt(store.get('acme', victim.id)), `byte ${String(byte)}`);
    await store.close();
  }
});

void t.test('a missing record is an error while its event is pending, and can be removed', async (t) => {
  const { store, before, victim, after, inbox, entryOf, put } = await setUp(t);
  await put('events', entryOf('events', 1).key, null);
  t.ok(await isCorrupt(store.get('acme', victim.id)));
  t.equal(await store.remove('acme', victim.id), true);
  t.equal(await store.get('acme', victim.id), undefined);
  t.strictSame(await inbox(), [before, after]);
  t.strictSame(await store.countPending('acme'), { count: 2, exact: true });
});

void t.test('an event that comes too late for the place in its id gets an index entry', async (t) => {
  const { store, raw, event, after } = await setUp(t);
  const late = event({ id: store.newId('acme', after.createdAt), createdAt: after.createdAt });
  await store.append(late);
  t.equal(entries(raw.ids).length, 1);
  t.strictSame(await store.get('acme', late.id), late);
  t.strictSame(await store.get('acme', after.id), after);
});

void t.test('a damaged newest record affects neither the clock nor the next append', async (t) => {
  const { store, path, after, entryOf, put } = await setUp(t);
  const last = entryOf('events', 2);
  // Its time is now in the year 2400, and its key greater than any that will come.
  const key = flipped(last.key, 1);
  key[1] = 0x40;
  await put('events', key, last.value);
  await put('events', last.key, null);
  await store.close();
  const second = await openTestStore(t, path);
  t.ok(second.store.newestTime < after.createdAt);
  const one = await second.add();
  t.strictSame(await second.store.get('acme', one.id), one);
});

void t.test('damaged newest records are not overwritten, and do not end the process', async (t) => {
  const { store, path, raw, victim, after, entryOf, put } = await setUp(t);
  const { key, value } = entryOf('events', 2);
  const damaged = flipped(value, 20);
  await put('events', key, damaged);
  // A key of another length, which comes after all others.
  await put('events', Buffer.from('ffff', 'hex'), damaged);
  await store.close();
  const second = await openTestStore(t, path);
  t.equal(second.store.newestTime, victim.createdAt);
  // The next event, by a clock that was set back, would go to the very place.
  second.clock.time = victim.createdAt;
  t.equal(after.createdAt, victim.createdAt + 1);
  const one = await second.addOwn();
  t.strictSame(await second.store.get('acme', one.id), one);
  t.match(await second.store.acknowledge('acme', one.id, one.createdAt), { outcome: 'acknowledged' });
  t.equal(await second.store.remove('acme', one.id), true);
  t.equal(
    (await second.inbox()).some(({ id }) => id === one.id),
    false,
  );
  t.strictSame(
    entries(raw.events).find((entry) => entry.key.equals(key))?.value,
    damaged,
    'kept for whoever can repair it',
  );
});

void t.test('an index entry does not lead to another event that has its place now', async (t) => {
  const { store, path, after, entryOf, put, clock } = await setUp(t, 'foreign');
  const last = entryOf('events', 2);
  // Its key is damaged, so nothing says that the place is taken.
  await put('events', Buffer.concat([last.key, last.key]), last.value);
  await put('events', last.key, null);
  await store.close();
  for (const tenant of ['acme', 'other']) {
    const second = await openTestStore(t, path);
    // By a clock that was set back.
    second.clock.time = clock.time;
    const newcomer = await second.addOwn({ createdAt: after.createdAt, tenant });
    t.strictSame(await second.store.get(tenant, newcomer.id), newcomer);
    t.ok(await isCorrupt(second.store.get('acme', after.id)));
    t.ok(await isCorrupt(second.store.acknowledge('acme', after.id, clock.time)));
    t.equal(await second.store.get('other', after.id), undefined);
    if (tenant === 'acme') {
      t.equal(await second.store.remove('acme', newcomer.id), true);
    } else {
      t.equal(await second.store.remove('acme', after.id), true, 'what is left of it');
      t.equal(await second.store.get('acme', after.id), undefined);
      t.strictSame(await second.store.get(tenant, newcomer.id), newcomer);
      t.strictSame(await second.store.countPending(tenant), { count: 1, exact: true });
    }
    await second.store.close();
  }
});
