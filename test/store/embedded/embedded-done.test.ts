import t from 'tap';
import { jsonBody, jsonEntry } from '../../../src/store/embedded/seal.ts';
import { CorruptEventError } from '../../../src/store/store-errors.ts';
import { entries, flipped, openRaw, openRawMeta, openTestStore } from '../../support/embedded.ts';

const FORMAT_NOTE = Buffer.from('format');

void t.test('an acknowledgement leaves the record as it is, and survives a restart', async (t) => {
  const path = t.testdir();
  const { store, add, clock } = await openTestStore(t, path);
  const one = await add({ payload: JSON.stringify({ fill: 'x'.repeat(50_000) }) });
  const before = entries(openRaw(t, path).events);
  const at = ++clock.time;
  await store.acknowledge('acme', one.id, at);
  await store.close();
  const raw = openRaw(t, path);
  t.strictSame(entries(raw.events), before);
  t.equal(entries(raw.done).length, 1);
  t.equal(entries(raw.inbox).length, 0);
  const again = await openTestStore(t, path);
  t.strictSame(await again.store.get('acme', one.id), { ...one, acknowledgedAt: at });
  t.strictSame(await again.store.acknowledge('acme', one.id, at + 5), {
    outcome: 'already',
    acknowledgedAt: at,
  });
});

void t.test('an event that is removed takes its acknowledgement with it', async (t) => {
  const path = t.testdir();
  const { store, add, clock } = await openTestStore(t, path);
  const one = await add();
  await store.acknowledge('acme', one.id, ++clock.time);
  t.equal(await store.remove('acme', one.id), true);
  t.strictSame(entries(openRaw(t, path).done), []);
});

void t.test('a folder of format 1 goes on, and cannot be opened by builds of that format', async (t) => {
  const path = t.testdir();
  const old = await openTestStore(t, path);
  // Format 1 wrote an acknowledgement into the record, as this does for an event that comes acknowledged.
  const flagged = await old.add({ acknowledgedAt: old.clock.time });
  const removed = await old.add({ acknowledgedAt: old.clock.time });
  const pending = await old.add();
  await old.store.close();
  const meta = openRawMeta(t, path);
  await meta.put(FORMAT_NOTE, jsonEntry(FORMAT_NOTE, 1).value);
  const noted = () => jsonBody(Buffer.from(meta.getBinary(FORMAT_NOTE) ?? []));

  const beside = await openTestStore(t, path, { exclusive: false });
  t.strictSame(await beside.store.get('acme', flagged.id), flagged);
  await beside.store.close();
  t.equal(noted(), 1, 'a command beside a server of that version raises nothing');

  const { store, clock, inbox } = await openTestStore(t, path);
  t.strictSame(await store.get('acme', flagged.id), flagged);
  const at = ++clock.time;
  t.strictSame(await store.acknowledgeMany('acme', [flagged.id, pending.id], at), [
    { outcome: 'already', acknowledgedAt: flagged.acknowledgedAt },
    { outcome: 'acknowledged', acknowledgedAt: at },
  ]);
  t.equal(await store.remove('acme', removed.id), true);
  t.strictSame(await inbox(), []);
  t.equal(noted(), 2);
  t.equal(entries(openRaw(t, path).done).length, 1, 'only the new acknowledgement');
});

void t.test('a damaged acknowledgement is an error of its event alone, which can be removed', async (t) => {
  const path = t.testdir();
  const { store, add, clock, inbox, refresh } = await openTestStore(t, path);
  const victim = await add();
  const other = await add();
  await store.acknowledge('acme', victim.id, ++clock.time);
  const { done } = openRaw(t, path);
  const [entry] = entries(done);
  if (entry === undefined) throw new Error('no acknowledgement');
  await done.put(entry.key, flipped(entry.value, 4));
  await refresh();
  await t.rejects(store.get('acme', victim.id), CorruptEventError);
  await t.rejects(store.acknowledge('acme', victim.id, ++clock.time), CorruptEventError);
  t.strictSame(await inbox(), [other]);
  t.match(await store.acknowledgeMany('acme', [victim.id, other.id], ++clock.time), [
    { outcome: 'failed', error: CorruptEventError },
    { outcome: 'acknowledged' },
  ]);
  t.equal(await store.remove('acme', victim.id), true);
  t.equal(await store.get('acme', victim.id), undefined);
  t.equal(entries(done).length, 1);
});

void t.test('no new event gets the place of a lost one whose acknowledgement is left', async (t) => {
  const path = t.testdir();
  const { store, add, clock } = await openTestStore(t, path);
  await add();
  const newest = await add();
  await store.acknowledge('acme', newest.id, ++clock.time);
  await store.close();
  const { events } = openRaw(t, path);
  const last = entries(events).at(-1);
  await events.remove(last?.key ?? Buffer.alloc(0));

  const again = await openTestStore(t, path);
  const event = again.event({ createdAt: newest.createdAt });
  await again.store.append(event);
  t.strictSame(await again.store.get('acme', event.id), event);
  t.strictSame((await again.inbox()).at(-1), event);
});
