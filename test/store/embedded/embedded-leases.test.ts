import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openEmbeddedStore, type EmbeddedStore } from '../../../src/store/embedded/embedded-store.ts';
import type { Micros } from '../../../src/store/event.ts';
import { unused, type Leased, type Settlement } from '../../../src/store/lease-store.ts';
import { runLeaseModel, type Instance } from '../../contracts/lease-model.ts';
import { openSnapshot } from '../../../src/store/embedded/snapshot.ts';
import { verify, type Finding } from '../../../src/store/embedded/verify.ts';
import { CorruptEventError, StoreUnavailableError } from '../../../src/store/store-errors.ts';
import { entries, flipped, MARGIN, openRaw, openTestStore, TTL } from '../../support/embedded.ts';
import { quietLog } from '../../support/quiet-log.ts';

const EVENT_TTL: Micros = 600e6;
const MAX_ATTEMPTS = 3;

/** A store with a clock that the test sets. */
async function openModelStore(t: Test) {
  const clock = { time: 1e15 };
  const options = {
    ...{ path: t.testdir(), now: () => clock.time, eventTtl: EVENT_TTL, maxAttempts: MAX_ATTEMPTS },
    sweepSeconds: 0,
    log: {
      ...quietLog,
      error: (detail: object) => {
        t.fail('a store that nobody has damaged reports damage', detail);
      },
    },
    onFatal: (error: Error) => {
      t.fail(error);
    },
  };
  let store = await openEmbeddedStore(options);
  t.teardown(() => store.close());
  return {
    clock,
    store: () => store,
    restart: async () => {
      await store.close();
      store = await openEmbeddedStore(options);
    },
  };
}

/** Always the store that is open now. */
function instanceOf(store: () => EmbeddedStore): Instance {
  const current = new Proxy({} as EmbeddedStore, {
    get: (_, name) => Reflect.get(store(), name) as unknown,
  });
  return { store: current, offset: 0 };
}

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  void t.test(`consumers, time and restarts: seed ${String(seed)}`, async (t) => {
    const { clock, store, restart } = await openModelStore(t);
    const instance = instanceOf(store);
    const { violations } = await runLeaseModel(
      {
        ...{ eventTtl: EVENT_TTL, maxAttempts: MAX_ATTEMPTS, offBy: 10_000, restart },
        instances: () => [instance],
        now: () => clock.time,
        advance: (by) => void (clock.time += by),
        settle: async () => {
          await store().sweep();
        },
      },
      seed,
      150,
    );
    t.strictSame(violations, []);
  });
}

const MINUTE: Micros = 60e6;
const REQUEST = { limit: 10, leaseFor: MINUTE };

async function leaseAll(store: EmbeddedStore) {
  return (await store.lease('acme', REQUEST)).leased;
}

function reject({ event, lease }: Leased): Settlement {
  return { action: 'reject', eventId: event.id, leaseId: lease.id, reason: null };
}

void t.test(
  'an event that waits for its transaction is not behind one that is redriven before',
  async (t) => {
    const { store, add, event } = await openTestStore(t, t.testdir());
    const old = await add();
    await store.settle('acme', (await leaseAll(store)).map(reject));
    const next = event();
    const [, { leased: first }] = await Promise.all([
      store.redrive('acme', [old.id]),
      store.lease('acme', REQUEST),
      store.append(next),
    ]);
    t.strictSame(
      [...first, ...(await leaseAll(store))].map(({ event }) => event),
      [old, next],
    );
  },
);

void t.test('an event comes back when its neighbour was extended and acknowledged', async (t) => {
  const { store, add, clock } = await openTestStore(t, t.testdir());
  const [extended, other] = [await add(), await add()];
  const [first] = await leaseAll(store);
  if (first === undefined) throw new Error('not leased');
  const ids = { eventId: extended.id, leaseId: first.lease.id };
  await store.settle('acme', [{ action: 'extend', ...ids, leaseFor: 2 * MINUTE }]);
  await store.settle('acme', [{ action: 'ack', ...ids, at: clock.time }]);
  clock.time += MINUTE;
  t.match(await leaseAll(store), [{ event: other, lease: { attempt: 2 } }]);
});

void t.test('events that come back, and that a filter leaves out, are there for others', async (t) => {
  const { store, add } = await openTestStore(t, t.testdir());
  const [other, wanted] = [await add({ type: 'other' }), await add({ type: 'wanted' })];
  await store.settle(
    'acme',
    (await leaseAll(store)).map(({ event, lease }) => unused(event.id, lease.id)),
  );
  t.match(await store.lease('acme', { ...REQUEST, type: 'wanted' }), { leased: [{ event: wanted }] });
  t.match(await leaseAll(store), [{ event: other }]);
});

void t.test('a page that is full before an event that does not match leaves none behind', async (t) => {
  const { store, add, clock } = await openTestStore(t, t.testdir());
  const payload = JSON.stringify({ fill: 'x'.repeat(400_000) });
  for (let n = 0; n < 15; n++) {
    if (n === 5) await add({ type: 'other' });
    await add({ type: 'wanted', payload });
  }
  await add({ type: 'other' });
  const request = { limit: 100, leaseFor: MINUTE };
  const wanted = async () => (await store.lease('acme', { ...request, type: 'wanted' })).leased.length;
  t.equal((await wanted()) + (await wanted()), 15);
  // All of it comes back as one range, in which the last event alone is another's.
  const [between] = (await store.lease('acme', { ...request, type: 'other' })).leased;
  if (between === undefined) throw new Error('not leased');
  await store.acknowledge('acme', between.event.id, clock.time);
  clock.time += MINUTE;
  let found = 0;
  for (let n = 0; n < 4; n++) found += await wanted();
  t.equal(found, 15);
});

void t.test('after a restart an event comes back when its own lease runs out', async (t) => {
  const path = t.testdir();
  const { store, add, clock } = await openTestStore(t, path);
  const [first, second] = [await add(), await add()];
  const { leased } = await store.lease('acme', { ...REQUEST, callKey: 'a'.repeat(64) });
  const leaseId = leased[1]?.lease.id ?? '';
  await store.settle('acme', [{ action: 'extend', eventId: second.id, leaseId, leaseFor: 60 * MINUTE }]);
  await store.close();
  const again = await openTestStore(t, path, { now: () => clock.time });
  t.strictSame(await leaseAll(again.store), []);
  clock.time += MINUTE;
  t.match(await leaseAll(again.store), [{ event: first }]);
});

void t.test('a damaged lease is reported, and its event can be leased', async (t) => {
  const path = t.testdir();
  const { store, add, damage, refresh, inbox } = await openTestStore(t, path);
  const victim = await add();
  const other = await add();
  await leaseAll(store);
  const { leases } = openRaw(t, path);
  const [entry] = entries(leases);
  if (entry === undefined) throw new Error('no lease');
  await leases.put(entry.key, flipped(entry.value, 5));
  await refresh();
  t.strictSame(await inbox(), [victim, other]);
  t.match(damage, [/^The lease of the event at \d+ is damaged$/]);
  t.match(await findings(path, store), [{ table: 'leases', problem: 'its checksum does not match' }]);
  const again = await openTestStore(t, path);
  t.match(await leaseAll(again.store), [{ event: victim, lease: { attempt: 1 } }]);
});

void t.test('a damaged entry of the quarantine is an error of its event alone', async (t) => {
  const path = t.testdir();
  const { store, add, refresh } = await openTestStore(t, path);
  const victim = await add();
  const other = await add();
  await store.settle('acme', (await leaseAll(store)).map(reject));
  const { quarantine } = openRaw(t, path);
  const [entry] = entries(quarantine);
  if (entry === undefined) throw new Error('no entry');
  await quarantine.put(entry.key, flipped(entry.value, 40));
  await refresh();
  await t.rejects(store.get('acme', victim.id), CorruptEventError);
  const { events } = await store.listQuarantined('acme', { limit: 10, after: null });
  t.match(events, [{ id: other.id }]);
  t.match(await store.redrive('acme', [victim.id, other.id]), [
    { outcome: 'failed', error: CorruptEventError },
    { outcome: 'redriven' },
  ]);
  t.match(await findings(path, store), [{ table: 'quarantine' }]);
  const again = await openTestStore(t, path);
  t.equal(await again.store.remove('acme', victim.id), true);
  t.strictSame(await findings(path, again.store), []);
});

void t.test('what has expired takes its lease and its place in quarantine with it', async (t) => {
  const path = t.testdir();
  const { store, add, clock } = await openTestStore(t, path);
  const rejected = await add();
  await store.settle('acme', (await leaseAll(store)).map(reject));
  await add();
  await leaseAll(store);
  const { leases, quarantine } = openRaw(t, path);
  t.equal(entries(leases).length, 1);
  t.equal(entries(quarantine).length, 1);
  clock.time += TTL + MARGIN + 1e6;
  t.equal(await store.get('acme', rejected.id), undefined);
  t.equal(await store.sweep(), 2);
  t.strictSame([...entries(leases), ...entries(quarantine)], []);
  t.strictSame(await findings(path, store), []);
});

void t.test('a disk that is almost full keeps events where they are, and consumers go on', async (t) => {
  const disk = { type: 0, bsize: 4096, blocks: 1e6, bavail: 5e5 };
  const { store, add } = await openTestStore(t, t.testdir(), {
    statfs: () => disk,
    maxAttempts: 1,
  });
  for (let n = 0; n < 3; n++) await add();
  const [spent, rejected, done] = await leaseAll(store);
  if (spent === undefined || rejected === undefined || done === undefined) throw new Error('not leased');
  disk.bavail = 1_000;
  await t.rejects(add(), StoreUnavailableError);
  const ids = { eventId: done.event.id, leaseId: done.lease.id };
  t.match(await store.settle('acme', [reject(rejected), { action: 'ack', ...ids, at: 1 }]), [
    { outcome: 'failed', error: StoreUnavailableError },
    { outcome: 'acknowledged' },
  ]);
  disk.bavail = 5e5;
  t.match(await store.settle('acme', [reject(rejected)]), [{ outcome: 'quarantined' }]);
});

/** What `verify` finds once the store is closed. */
async function findings(path: string, store: EmbeddedStore): Promise<Finding[]> {
  await store.close();
  const found: Finding[] = [];
  const snapshot = openSnapshot(join(path, 'store.mdb'));
  verify(snapshot, { onFinding: (finding) => found.push(finding), onEntry: () => undefined });
  await snapshot.close();
  return found;
}
