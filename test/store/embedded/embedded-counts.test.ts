import assert from 'node:assert';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import type { Test } from 'tap';
import t from 'tap';
import { createCounts } from '../../../src/store/embedded/counts.ts';
import { openLmdb } from '../../../src/store/embedded/database.ts';
import { createAcknowledgements } from '../../../src/store/embedded/acknowledgements.ts';
import { createAppends } from '../../../src/store/embedded/embedded-appends.ts';
import { createEvents } from '../../../src/store/embedded/embedded-events.ts';
import { createLeaseTable } from '../../../src/store/embedded/lease-table.ts';
import { createSweep } from '../../../src/store/embedded/sweep.ts';
import { createWriter } from '../../../src/store/embedded/writer.ts';
import { sampleEvent } from '../../../bench/harness/event.ts';
import { flipped, openRaw, openRoot, openTestStore, TTL } from '../../support/embedded.ts';
import { createClaims } from '../../../src/store/embedded/embedded-claims.ts';
import { newEventId } from '../../../src/store/embedded/event-id.ts';
import { inboxEnd, inboxKey } from '../../../src/store/embedded/inbox-index.ts';
import { createSequences } from '../../../src/store/embedded/sequences.ts';

const LIFETIME = 1_000;
const TENANTS = ['a', 'ab', 'b'];

/** The parts of a store on a real file, with walks whose slices stay at three entries, and a memory of two tenants. */
function openParts(path: string) {
  const lmdb = openLmdb(join(path, 'store.mdb'), () => undefined);
  const clock = { time: 10_000, ms: 0 };
  const expiredTo = () => clock.time - LIFETIME;
  const trips = { count: 0 };
  const writer = createWriter({
    transact: (run) => lmdb.transact(run),
    beforeCommit: (writes) => {
      sweep.step(writes);
    },
    onFatal: (error) => {
      throw error;
    },
  });
  const counted: typeof writer = {
    ...writer,
    write(tenant, bytes, run) {
      trips.count++;
      return writer.write(tenant, bytes, run);
    },
  };
  const counts = createCounts({
    ...{ lmdb, writer: counted, expiredTo, firstSlice: 3, tenants: 2 },
    // Slices that take this long are neither made larger nor smaller.
    monotonic: () => (clock.ms += 1.5),
  });
  const onDamage = (error: Error) => {
    throw error;
  };
  const sweep = createSweep({
    ...{ lmdb, writer, counts, onDamage },
    deletableTo: expiredTo,
    claimsDeletableTo: () => clock.time,
  });
  const claims = createClaims(lmdb);
  const newest = { sequence: 0, damagedAfter: new Set<number>() };
  const sequences = createSequences(lmdb, newest);
  const appends = createAppends({
    lmdb,
    writer,
    counts,
    claims,
    sequences,
    disk: undefined,
    touch: () => undefined,
  });
  const leases = createLeaseTable(lmdb, onDamage);
  const now = () => clock.time;
  const events = createEvents({ lmdb, writer, counts, leases, expiredTo });
  const acknowledgements = createAcknowledgements({ lmdb, writer, events, leases, now });
  const append = async (tenant: string) => {
    const createdAt = ++clock.time;
    const id = newEventId(tenant, createdAt);
    await appends.append(sampleEvent(createdAt, { tenant, id }));
    return id;
  };
  const truth = (tenant: string) =>
    lmdb.inbox.getKeysCount({
      start: inboxKey(tenant, Math.max(0, expiredTo()) + 1),
      end: inboxEnd(tenant),
    });
  const close = async () => {
    await sweep.stop();
    await writer.close();
    await lmdb.close();
  };
  const writes = { ...acknowledgements.writes, remove: events.remove };
  return { clock, trips, counts, sweep, writes, append, truth, close };
}

type Parts = ReturnType<typeof openParts>;

/** Begins something; what it begins goes on beside the steps that follow. */
type Step = (parts: Parts, ids: [string, string][]) => Promise<unknown>;

const tenant = fc.constantFrom(...TENANTS);
const index = fc.nat(60);

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(tenant, fc.integer({ min: 1, max: 9 })).map(
      ([tenant, count]): Step =>
        (parts, ids) =>
          Promise.all(
            Array.from({ length: count }, async () => ids.push([tenant, await parts.append(tenant)])),
          ),
    ),
  },
  { weight: 3, arbitrary: index.map((index) => withOne(index, 'acknowledge')) },
  { weight: 2, arbitrary: index.map((index) => withOne(index, 'remove')) },
  {
    weight: 6,
    arbitrary: tenant.map(
      (tenant): Step =>
        ({ counts }) =>
          counts.pending(tenant),
    ),
  },
  { weight: 2, arbitrary: fc.constant<Step>(({ sweep }) => sweep.run()) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(1, 7, 30, LIFETIME / 2, LIFETIME).map((time): Step => ({ clock }) => {
      clock.time += time;
      return Promise.resolve();
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(3, 40, LIFETIME).map((time): Step => ({ clock }) => {
      clock.time -= time;
      return Promise.resolve();
    }),
  },
  { weight: 3, arbitrary: fc.constant<Step>(() => new Promise((resolve) => setImmediate(resolve))) },
);

function withOne(index: number, what: 'acknowledge' | 'remove'): Step {
  return ({ writes, clock }, ids) => {
    const one = ids[index % Math.max(1, ids.length)];
    return one === undefined ? Promise.resolve() : writes[what](...one, ++clock.time);
  };
}

void t.test('counts are exact, whatever happens at the same time', async (t) => {
  const root = t.testdir();
  const script = fc.array(fc.tuple(steps, fc.constantFrom('wait', 'go on', 'go on')), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(script, async (script) => {
      const parts = openParts(mkdtempSync(join(root, 'run-')));
      const ids: [string, string][] = [];
      let underWay: Promise<unknown>[] = [];
      const settle = async () => {
        await Promise.all(underWay);
        underWay = [];
        for (const tenant of TENANTS) {
          assert.equal(await parts.counts.pending(tenant), parts.truth(tenant), tenant);
        }
      };
      for (const [step, then] of script) {
        underWay.push(step(parts, ids));
        if (then === 'wait') await settle();
      }
      await settle();
      await parts.close();
    }),
    { numRuns: 200 },
  );
});

async function withParts(t: Test, events: number): Promise<Parts> {
  const parts = openParts(t.testdir());
  t.teardown(parts.close);
  await Promise.all(Array.from({ length: events }, () => parts.append('a')));
  return parts;
}

void t.test('a large inbox is counted in slices, and writes run between them', async (t) => {
  const { counts, append, trips } = await withParts(t, 100);
  const ends: string[] = [];
  const counting = counts.pending('a').then((count) => {
    ends.push('count');
    return count;
  });
  const appending = append('a').then(() => ends.push('append'));
  t.equal(await counting, 101, 'and what was written meanwhile is counted once');
  await appending;
  t.strictSame(ends, ['append', 'count']);
  t.equal(trips.count, 34, 'three entries each');
});

void t.test('a known count needs no look at the inbox, and no write', async (t) => {
  const { counts, append, writes, trips, clock } = await withParts(t, 50);
  await counts.pending('a');
  trips.count = 0;
  const id = await append('a');
  t.equal(await counts.pending('a'), 51);
  await writes.acknowledge('a', id, ++clock.time);
  t.equal(await counts.pending('a'), 50);
  clock.time += LIFETIME - 100;
  t.equal(await counts.pending('a'), 50);
  t.equal(trips.count, 0);
});

void t.test('expired entries are passed over once, however long they wait for the sweep', async (t) => {
  const { counts, append, trips, clock } = await withParts(t, 300);
  await counts.pending('a');
  clock.time += LIFETIME;
  await append('a');
  t.equal(await counts.pending('a'), 1);
  trips.count = 0;
  for (let i = 0; i < 10; i++) {
    clock.time++;
    t.equal(await counts.pending('a'), 1);
  }
  t.equal(trips.count, 0);
});

void t.test('callers at the same moment share a walk', async (t) => {
  const { counts, trips } = await withParts(t, 30);
  trips.count = 0;
  t.strictSame(await Promise.all(Array.from({ length: 20 }, () => counts.pending('a'))), Array(20).fill(30));
  t.equal(trips.count, 11);
});

void t.test(
  'a folder of a version that kept counts on disk loses them, and only a server removes them',
  async (t) => {
    const path = t.testdir();
    const first = await openTestStore(t, path);
    await Promise.all(Array.from({ length: 5 }, () => first.add()));
    await first.store.close();
    const root = openRoot(t, path);
    const old = root.openDB<Buffer, Buffer>({ name: 'counts', encoding: 'binary', keyEncoding: 'binary' });
    for (const tenant of ['acme', 'other']) await old.put(Buffer.from(tenant), Buffer.alloc(13, 7));
    const beside = await openTestStore(t, path, { exclusive: false });
    await beside.store.close();
    t.equal(old.getKeysCount({}), 2);
    const second = await openTestStore(t, path);
    t.strictSame(await second.store.countPending('acme'), { count: 5, exact: true });
    await second.refresh();
    t.equal(old.getKeysCount({}), 0);
  },
);

void t.test('damaged keys in the inbox neither end nor hang a count', async (t) => {
  const path = t.testdir();
  const first = await openTestStore(t, path);
  const events = await Promise.all(Array.from({ length: 20 }, () => first.add()));
  await first.store.close();
  const raw = openRaw(t, path);
  const keys = [...raw.inbox.getKeys({})].map((key) => Buffer.from(key));
  const value = Buffer.alloc(20);
  for (const [index, key] of keys.entries()) {
    if (index % 2 === 1) continue;
    await raw.inbox.remove(key);
    await raw.inbox.put(
      [flipped(key, 5), key.subarray(0, 6), key.subarray(0, 12), Buffer.concat([key, key])][index % 4] ?? key,
      value,
    );
  }
  const second = await openTestStore(t, path);
  second.clock.time = first.clock.time;
  const { count } = await second.store.countPending('acme');
  t.ok(count >= 10 && count <= 20, String(count));
  t.strictSame(
    (await second.inbox()).map(({ id }) => id),
    events.filter((_, index) => index % 2 === 1).map(({ id }) => id),
  );
  second.clock.time += TTL;
  t.equal((await second.store.countPending('acme')).exact, true);
});
