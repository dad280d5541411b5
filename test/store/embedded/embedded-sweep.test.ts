import t from 'tap';
import { entries, MARGIN, openRaw, openTestStore, TTL } from '../../support/embedded.ts';

void t.test('the sweep deletes expired events from every table, and no others', async (t) => {
  const path = t.testdir();
  const { store, add, event, clock, inbox } = await openTestStore(t, path);
  await Promise.all(Array.from({ length: 450 }, () => store.append(event())));
  await add({ tenant: 'other' });
  const acknowledged = await add();
  await store.acknowledge('acme', acknowledged.id, ++clock.time);
  t.equal(await store.sweep(), 0);
  clock.time = acknowledged.createdAt + TTL;
  t.strictSame(await inbox(), [], 'hidden at once');
  t.equal(await store.sweep(), 0);
  clock.time = acknowledged.createdAt + TTL + MARGIN - 1;
  const young = await add({ createdAt: clock.time });
  t.equal(await store.sweep(), 451, 'all but the acknowledged one, whose time ends a tick later');
  clock.time++;
  t.equal(await store.sweep(), 1);
  t.equal(await store.sweep(), 0);
  const raw = openRaw(t, path);
  const sizes = Object.values(raw).map((table) => entries(table).length);
  t.strictSame(sizes, [1, 1, 1, 0, 0, 0, 0, 0, 0]);
  t.strictSame(await store.countPending('acme'), { count: 1, exact: true });
  t.strictSame(await store.countPending('other'), { count: 0, exact: true });
  t.strictSame(await inbox(), [young]);
});

void t.test('the sweep runs beside appends, acknowledgements and removals', async (t) => {
  const { store, add, event, clock, inbox } = await openTestStore(t, t.testdir());
  const old = [];
  for (let i = 0; i < 300; i++) old.push(event());
  await Promise.all(old.map((one) => store.append(one)));
  clock.time += TTL + MARGIN;
  const young = Array.from({ length: 100 }, () => event());
  const [swept, again] = await Promise.all([
    store.sweep(),
    store.sweep(),
    ...young.map((one) => store.append(one)),
    ...old.map(({ id }) => store.acknowledge('acme', id, ++clock.time)),
    ...old.map(({ id }) => store.remove('acme', id)),
  ]);
  t.equal(swept, 300);
  t.equal(again, 300, 'the same walk');
  t.strictSame(await inbox(), young);
  await add();
  t.strictSame(await store.countPending('acme'), { count: 101, exact: true });
});

void t.test('the sweep runs by itself', async (t) => {
  const path = t.testdir();
  const { add, clock } = await openTestStore(t, path, { sweepSeconds: 0.01 });
  const raw = openRaw(t, path);
  await add();
  clock.time += TTL + MARGIN;
  while (entries(raw.events).length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  t.pass('before the time limit of the test');
});

void t.test('close does not wait for a sweep', async (t) => {
  const { store, event, clock } = await openTestStore(t, t.testdir());
  await Promise.all(Array.from({ length: 1000 }, () => store.append(event())));
  clock.time += TTL + MARGIN;
  const sweep = store.sweep();
  const refused = t.rejects(sweep, { name: 'StoreUnavailableError' });
  await store.close();
  await refused;
});
