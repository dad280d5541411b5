import { chmodSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openEmbeddedStore } from '../../../src/store/embedded/embedded-store.ts';
import { openTestStore } from '../../support/embedded.ts';
import { quietLog } from '../../support/quiet-log.ts';

void t.test('a second server on the same folder is refused until the first has closed', async (t) => {
  const path = t.testdir();
  const { store, add } = await openTestStore(t, path);
  const one = await add();
  await t.rejects(openTestStore(t, path), { message: `${path} is in use by another server` });
  await t.rejects(openTestStore(t, path), /is in use by another server/);
  t.strictSame(await store.get('acme', one.id), one, 'the first is not disturbed');
  await store.close();
  const second = await openTestStore(t, path);
  t.strictSame(await second.store.get('acme', one.id), one);
});

void t.test('a store that is not exclusive opens beside a server and sees its events', async (t) => {
  const path = t.testdir();
  const server = await openTestStore(t, path);
  const one = await server.add();
  const beside = await openTestStore(t, path, { exclusive: false });
  t.strictSame(await beside.store.get('acme', one.id), one);
  await beside.store.close();
  const two = await server.add();
  t.strictSame(await server.store.get('acme', two.id), two, 'its close leaves the server as it was');
});

void t.test('a missing folder is created, for its owner only', async (t) => {
  const path = join(t.testdir(), 'a', 'b');
  await openTestStore(t, path);
  t.equal(statSync(path).mode & 0o777, 0o700);
});

void t.test('a folder that cannot be used is named', async (t) => {
  const folder = t.testdir({ file: 'text' });
  for (const path of [join(folder, 'file'), join(folder, 'file', 'below'), '/sys/data']) {
    const options = { path, now: () => 0, eventTtl: 1, log: quietLog, onFatal: () => 0 };
    await t.rejects(openEmbeddedStore(options), { message: `The data folder ${path} cannot be used` });
  }
});

void t.test('newestTime is the time of the newest event at open', async (t) => {
  const path = t.testdir();
  const first = await openTestStore(t, path);
  t.equal(first.store.newestTime, 0);
  await first.add();
  const { createdAt } = await first.add();
  await first.store.close();
  t.equal((await openTestStore(t, path)).store.newestTime, createdAt);
});

void t.test('order survives a clock that was set back', async (t) => {
  const path = t.testdir();
  const first = await openTestStore(t, path);
  const one = await first.add();
  await first.store.close();
  const second = await openTestStore(t, path);
  second.clock.time = one.createdAt - 1e6;
  const two = await second.add();
  t.strictSame(await second.inbox(), [one, two]);
});

void t.test('only the owner can read the files, even in a folder that was open to all', async (t) => {
  const path = t.testdir({ inner: {} });
  chmodSync(path, 0o755);
  const { add } = await openTestStore(t, path);
  await add();
  for (const file of readdirSync(path)) {
    if (file === 'inner') continue;
    t.equal(statSync(join(path, file)).mode & 0o077, 0, file);
  }
});
