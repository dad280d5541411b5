import { join } from 'node:path';
import t from 'tap';
import { openLmdb } from '../../../src/store/embedded/database.ts';
import { createWriter, DEFAULT_LIMITS, NO_TENANT } from '../../../src/store/embedded/writer.ts';
import {
  CorruptEventError,
  StoreOverloadedError,
  StoreUnavailableError,
} from '../../../src/store/store-errors.ts';
import { openTestStore } from '../../support/embedded.ts';

const limits = {
  ...DEFAULT_LIMITS,
  batchBytes: 1e6,
  batchMs: 1000,
  waitingWrites: 2000,
  waitingBytes: 2e6,
};

/** A writer over transactions that wait for `sync`, which stands for the disk. */
function setUp({ fail }: { fail?: Error } = {}) {
  const sizes: number[] = [];
  const fatal: Error[] = [];
  let size = 0;
  let sync: () => void = () => undefined;
  const clock = { ms: 0 };
  const writer = createWriter({
    transact: async (run) => {
      await Promise.resolve();
      size = 0;
      run();
      sizes.push(size);
      await new Promise<void>((resolve) => (sync = resolve));
      if (fail !== undefined) throw fail;
    },
    beforeCommit: () => undefined,
    onFatal: (error) => fatal.push(error),
    limits,
    monotonic: () => clock.ms,
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  return {
    writer,
    turn,
    clock,
    sizes,
    fatal,
    write: (bytes = 1, tenant = 'acme') => writer.write(tenant, bytes, () => ++size),
    sync: async () => {
      await turn();
      sync();
      await turn();
    },
  };
}

void t.test('writes of one moment share a transaction, those that come meanwhile the next', async (t) => {
  const { write, sync, sizes } = setUp();
  const first = [write(), write(), write()];
  await sync();
  t.strictSame(await Promise.all(first), [1, 2, 3]);
  const second = [write()];
  await new Promise((resolve) => setImmediate(resolve));
  second.push(write(), write());
  await sync();
  await sync();
  await Promise.all(second);
  t.strictSame(sizes, [3, 1, 2]);
});

void t.test('a write resolves only after the disk has answered', async (t) => {
  const { write, sync } = setUp();
  let done = false;
  const writing = write().then(() => (done = true));
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  t.equal(done, false);
  await sync();
  await writing;
});

void t.test('a disk that does not answer is visible in the time of the transaction under way', async (t) => {
  const { writer, write, sync, turn, clock } = setUp();
  clock.ms = 100;
  t.equal(writer.busyFor(), 0);
  const writing = write();
  await turn();
  clock.ms = 5_100;
  t.equal(writer.busyFor(), 5_000);
  await sync();
  await writing;
  t.equal(writer.busyFor(), 0);
});

void t.test('a transaction is bounded by writes and bytes, and a larger write goes alone', async (t) => {
  const { write, sync, sizes } = setUp();
  const writes = [...Array.from({ length: 600 }, () => write()), write(9e5), write(9e4)];
  for (let i = 0; i < 4; i++) await sync();
  await Promise.all(writes);
  t.strictSame(sizes, [512, 90]);
});

void t.test('a transaction is bounded by time', async (t) => {
  const { writer, write, sync, sizes, clock } = setUp();
  const slow = Array.from({ length: 5 }, () =>
    writer.write('acme', 1, () => {
      clock.ms += 400;
    }),
  );
  const writes = [...slow, write()];
  await sync();
  await sync();
  await Promise.all(writes);
  t.strictSame(sizes, [0, 1], 'three, then the rest');
});

void t.test('a damaged event rejects only its own write', async (t) => {
  const { writer, write, sync } = setUp();
  const damaged = new CorruptEventError('damaged');
  const writes = [
    write(),
    writer.write('acme', 1, () => {
      throw damaged;
    }),
    write(),
  ];
  const settled = Promise.allSettled(writes);
  await sync();
  t.match(await settled, [{ value: 1 }, { reason: damaged }, { value: 2 }]);
  const later = write();
  await sync();
  t.equal(await later, 1);
});

void t.test('a failed transaction rejects its, waiting and later writes; reported once', async (t) => {
  const { writer, write, sync, fatal } = setUp({ fail: new Error('no space left') });
  const writes = [write(), write()];
  await new Promise((resolve) => setImmediate(resolve));
  writes.push(write());
  const settled = Promise.allSettled(writes);
  await sync();
  const message = /no space left/;
  const reason = { name: 'StoreUnavailableError', message };
  t.match(await settled, [{ reason }, { reason }, { reason }]);
  await t.rejects(write(), reason);
  t.match(fatal, [{ message }]);
  t.ok(writer.refusal() instanceof StoreUnavailableError);
  await writer.close();
});

void t.test('close completes what was accepted and refuses the rest', async (t) => {
  const { writer, write, sync } = setUp();
  const accepted = write();
  const closing = writer.close();
  await t.rejects(write(), { name: 'StoreUnavailableError' });
  await sync();
  await closing;
  t.equal(await accepted, 1);
});

void t.test('beyond its bounds the store refuses at once, and what it has accepted is stored', async (t) => {
  for (const tight of [
    { ...limits, waitingWrites: 20 },
    { ...limits, waitingBytes: 3000 },
  ]) {
    const { store, event, inbox } = await openTestStore(t, t.testdir(), { limits: tight });
    const events = Array.from({ length: 30 }, () => event());
    const ends = await Promise.allSettled(events.map((one) => store.append(one)));
    const stored = events.filter((_, index) => ends[index]?.status === 'fulfilled');
    const refused = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
    t.ok(stored.length >= 10 && stored.length < 30);
    t.ok(refused.every((error) => error instanceof StoreOverloadedError));
    t.strictSame(await inbox(), stored);
    const next = event();
    await store.append(next);
    t.strictSame(await store.get('acme', next.id), next, 'and goes on');
    await store.close();
  }
});

void t.test('a write that throws undoes its whole transaction', async (t) => {
  const lmdb = openLmdb(join(t.testdir(), 'store.mdb'), () => undefined);
  t.teardown(() => lmdb.close());
  const fatal: Error[] = [];
  const writer = createWriter({
    transact: (run) => lmdb.transact(run),
    beforeCommit: () => undefined,
    onFatal: (error) => fatal.push(error),
  });
  const text = (value: string) => Buffer.from(value);
  await writer.write('acme', 1, () => {
    lmdb.keys.putSync(text('before'), text('1'));
  });
  const ends = await Promise.allSettled([
    writer.write('acme', 1, () => {
      lmdb.keys.putSync(text('first'), text('1'));
    }),
    writer.write('acme', 1, () => {
      lmdb.keys.putSync(text('second'), text('1'));
      lmdb.keys.putSync(Buffer.alloc(3_000, 'a key that LMDB does not take'), text('1'));
    }),
    writer.write('acme', 1, () => {
      lmdb.keys.putSync(text('third'), text('1'));
    }),
  ]);
  const name = 'StoreUnavailableError';
  t.match(ends, [{ reason: { name } }, { reason: { name } }, { reason: { name } }]);
  t.equal(fatal.length, 1);
  t.strictSame([...lmdb.keys.getKeys({})].map(String), ['before']);
});

void t.test('of thirty tries during a stall only the one that was under way is stored', async (t) => {
  const { writer, sync, turn, clock } = setUp();
  const stored: number[] = [];
  const tries: Promise<string>[] = [];
  for (let n = 0; n < 30; n++) {
    const one = writer.write('acme', 1, () => stored.push(n));
    tries.push(one.then(() => 'stored', String));
    // The first write is in its transaction now. A client that got its 503 tries again.
    await turn();
    clock.ms += 900;
    writer.check();
  }
  clock.ms += 1_501;
  await sync();
  await sync();
  const [first, ...others] = await Promise.all(tries);
  t.equal(first, 'stored');
  t.ok(others.every((end) => /^StoreOverloadedError: .*too long.*not run/.test(end)));
  t.strictSame(stored, [0]);
});

void t.test('a write that has waited too long is rejected and holds no place', async (t) => {
  const { writer, write, sync, turn, clock } = setUp();
  const first = write();
  await turn();
  const full = Array.from({ length: 1000 }, () => write());
  const ends = Promise.allSettled(full);
  await t.rejects(write(), { name: 'StoreOverloadedError', message: /Too many/ });
  clock.ms = 1_501;
  const fresh = write();
  t.ok(
    (await ends).every((end) => end.status === 'rejected'),
    'by the next write that comes',
  );
  clock.ms = 2_000;
  writer.check();
  await sync();
  await sync();
  t.strictSame(await Promise.all([first, fresh]), [1, 1], 'one that came later is run');
});

void t.test('on a slow disk a write is refused when its transaction would come too late', async (t) => {
  const { writer, write, sync, turn, clock } = setUp();
  const first = write();
  await turn();
  clock.ms = 400;
  await sync();
  const second = write();
  await turn();
  const late = write();
  const ends = Promise.allSettled([late]);
  clock.ms = 1_000;
  const intime = write();
  clock.ms = 1_701;
  writer.check();
  t.match(await ends, [{ status: 'rejected', reason: { name: 'StoreOverloadedError' } }], 'after 1.3 s');
  await sync();
  await sync();
  t.strictSame(await Promise.all([first, second, intime]), [1, 1, 1]);
});

void t.test('a write that became late while its transaction waited to begin is not run', async (t) => {
  const { write, sync, clock } = setUp();
  const late = write();
  clock.ms = 1_501;
  const ends = Promise.allSettled([late]);
  await sync();
  t.match(await ends, [{ status: 'rejected', reason: { name: 'StoreOverloadedError' } }]);
});

void t.test(
  'a tenant that floods the queue is refused, other tenants and internal writes are not',
  async (t) => {
    for (const bytes of [1, 5_000]) {
      const { write, sync } = setUp();
      const flood = Array.from({ length: 5_000 }, () => write(bytes, 'flood'));
      const others = Array.from({ length: 20 }, (_, n) => write(bytes, `tenant-${String(n)}`));
      const internal = write(bytes, NO_TENANT);
      const ends = Promise.allSettled(flood);
      for (let i = 0; i < 20; i++) await sync();
      await Promise.all([...others, internal]);
      const refused = (await ends).filter((end) => end.status === 'rejected');
      t.ok(refused.length > 0, 'the flood was one');
    }
  },
);

void t.test('while more waits than a transaction takes, tenants take turns', async (t) => {
  const { writer, sync, turn } = setUp();
  const ran: string[] = [];
  const write = (name: string, tenant: string, bytes = 1) =>
    writer.write(tenant, bytes, () => {
      ran.push(name);
    });
  const first = write('first', 'flood');
  await turn();
  const flood = Array.from({ length: 900 }, (_, n) => write(`flood ${String(n)}`, 'flood'));
  const other = [write('other 0', 'other'), write('other 1', 'other')];
  ran.length = 0;
  await sync();
  t.strictSame(ran.slice(0, 5), ['flood 0', 'other 0', 'flood 1', 'other 1', 'flood 2']);
  t.equal(ran.length, 512);
  ran.length = 0;
  const late = write('late', 'other');
  await sync();
  t.strictSame(
    [ran[0], ran.at(-1), ran.length],
    ['flood 510', 'late', 391],
    'in order, because all of it fits',
  );
  await sync();
  await Promise.all([first, ...flood, ...other, late]);
});

void t.test('a tenant keeps its turn when its write does not fit any more', async (t) => {
  const { writer, sync, turn } = setUp();
  const ran: string[] = [];
  const write = (name: string, bytes: number) =>
    writer.write(name, bytes, () => {
      ran.push(name);
    });
  const first = write('small', 1);
  await turn();
  const all = [first, write('small', 4e5), write('small', 4e5), write('large', 9e5)];
  const batches: string[] = [];
  for (let n = 0; n < 4; n++) {
    batches.push(ran.splice(0).join());
    await sync();
  }
  await Promise.all(all);
  t.strictSame(batches, ['small', 'small', 'large', 'small']);
});

void t.test('a transaction that does not end makes the writer fail', async (t) => {
  const { writer, write, sync, turn, fatal, clock } = setUp();
  const settled = Promise.allSettled([write()]);
  await turn();
  clock.ms = 30_000;
  writer.check();
  t.strictSame(fatal, []);
  clock.ms = 30_001;
  const waiting = Promise.allSettled([write()]);
  writer.check();
  writer.check();
  const reason = { name: 'StoreUnavailableError', message: /has not ended for 30 s/ };
  t.match([...(await settled), ...(await waiting)], [{ reason }, { reason }]);
  await t.rejects(write(), reason);
  t.match(fatal, [{ name: reason.name, message: reason.message }]);
  t.equal(fatal.length, 1);
  await writer.close();
  t.ok(writer.busyFor() > 0, 'closed, with the transaction still under way');
  await sync();
  t.equal(writer.busyFor(), 0);
  t.equal(fatal.length, 1, 'its late end changes nothing');
});

void t.test('close does not wait for a transaction that is given up meanwhile', async (t) => {
  const { writer, write, turn, clock } = setUp();
  const settled = Promise.allSettled([write()]);
  await turn();
  const closing = writer.close();
  clock.ms = 30_001;
  writer.check();
  await closing;
  t.match(await settled, [{ status: 'rejected' }]);
});
