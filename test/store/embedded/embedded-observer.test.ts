import { statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { DEFAULT_LIMITS } from '../../../src/store/embedded/writer.ts';
import { StoreOverloadedError, StoreUnavailableError } from '../../../src/store/store-errors.ts';
import type { StoreObserver } from '../../../src/store/store-observer.ts';
import { MARGIN, openRoot, openTestStore, TTL } from '../../support/embedded.ts';

/** Adds up what a store reports. */
function totals() {
  const seen = { commits: 0, writes: 0, refused: 0, expired: 0 };
  const observer: StoreObserver = {
    committed(writes, milliseconds) {
      if (!(milliseconds >= 0)) throw new Error(`a commit took ${String(milliseconds)} ms`);
      seen.commits++;
      seen.writes += writes;
    },
    refused: () => seen.refused++,
    expired: (events) => (seen.expired += events),
    requested: () => undefined,
  };
  return { seen, observer };
}

void t.test('writes of one moment are reported as one commit', async (t) => {
  const { seen, observer } = totals();
  const { add, store } = await openTestStore(t, t.testdir(), { observer });
  await Promise.all([add(), add(), add()]);
  t.strictSame(seen, { commits: 1, writes: 3, refused: 0, expired: 0 });
  t.strictSame(store.gauges.commitQueue(), { writes: 0, limit: DEFAULT_LIMITS.waitingWrites });
});

void t.test('writes for which there is no place are reported, and the others wait', async (t) => {
  const { seen, observer } = totals();
  const limits = { ...DEFAULT_LIMITS, waitingWrites: 4 };
  const { add, store } = await openTestStore(t, t.testdir(), { observer, limits });
  const answers = Promise.allSettled([add(), add(), add(), add()]);
  t.strictSame(store.gauges.commitQueue(), { writes: 2, limit: 4 }, 'one tenant alone has half');
  const failures = (await answers).flatMap((answer) =>
    answer.status === 'rejected' ? [answer.reason as unknown] : [],
  );
  t.ok(failures.every((error) => error instanceof StoreOverloadedError));
  t.equal(failures.length, 2);
  t.equal(seen.refused, 2);
});

void t.test('events that the sweep deletes are reported', async (t) => {
  const { seen, observer } = totals();
  const { add, store, clock } = await openTestStore(t, t.testdir(), { observer });
  await add();
  await add();
  clock.time += TTL + MARGIN;
  t.equal(await store.sweep(), 2);
  t.equal(seen.expired, 2);
});

void t.test(
  'inboxes: every tenant with pending events that have not expired, and nothing of damaged keys',
  async (t) => {
    const path = t.testdir();
    const { add, store, clock } = await openTestStore(t, path);
    const first = await add({ tenant: 'a' });
    await add({ tenant: 'a' });
    const other = await add({ tenant: 'a-b' });
    const gone = await add({ tenant: 'b' });
    await store.acknowledge('b', gone.id, clock.time);
    const root = openRoot(t, path);
    const inbox = root.openDB<Buffer, Buffer>({ name: 'inbox', encoding: 'binary', keyEncoding: 'binary' });
    for (const key of ['\u0001', 'a\u0000short', 'zz']) await inbox.put(Buffer.from(key), Buffer.alloc(8));
    await store.remove('a', 'none');
    t.strictSame(
      (await store.gauges.inboxes([])).map(({ tenant, oldest }) => ({ tenant, oldest })),
      [
        { tenant: 'a', oldest: first.createdAt },
        { tenant: 'a-b', oldest: other.createdAt },
      ],
    );
    clock.time = first.createdAt + TTL;
    t.strictSame(await store.gauges.inboxes([]), [
      { tenant: 'a', oldest: first.createdAt + 1, pending: 1 },
      { tenant: 'a-b', oldest: other.createdAt, pending: 1 },
    ]);
  },
);

void t.test('the disk is reported until the store is closed', async (t) => {
  const path = t.testdir();
  const { add, store } = await openTestStore(t, path, {
    statfs: () => ({ type: 0, bsize: 4096, blocks: 1_000_000, bavail: 500_000 }),
  });
  await add();
  t.match(store.gauges.disk?.(), {
    file: statSync(join(path, 'store.mdb')).size,
    available: 4096 * 500_000,
    total: 4096 * 1_000_000,
    takesEvents: true,
  });
  await store.close();
  t.throws(() => store.gauges.disk?.(), StoreUnavailableError);
  await t.rejects(store.gauges.inboxes([]), StoreUnavailableError);
});
