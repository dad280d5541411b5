import t from 'tap';
import type { StoredEvent } from '../../../src/store/event.ts';
import { openTestStore } from '../../support/embedded.ts';

void t.test(
  'a position of the previous version, which has no end, continues to the current end',
  async (t) => {
    const { store, add } = await openTestStore(t, t.testdir());
    const events: StoredEvent[] = [];
    for (let i = 0; i < 6; i++) events.push(await add());
    const before = String(events[1]?.createdAt);
    const { events: page, next } = await store.listPending('acme', { limit: 2, after: before });
    t.strictSame(page, events.slice(2, 4));
    await add();
    const rest = await store.listPending('acme', { limit: 10, after: next });
    t.strictSame(rest, { events: events.slice(4), next: null });
  },
);

void t.test('a position that this store does not give out is refused, a forged one harmless', async (t) => {
  const { store, add } = await openTestStore(t, t.testdir());
  const event = await add();
  const most = String(Number.MAX_SAFE_INTEGER);
  for (const after of [
    '',
    'x',
    '-1',
    '1-',
    '1-x',
    '1-2-3',
    '1.5',
    ' 1',
    '9'.repeat(17),
    '9'.repeat(16),
    `1-${most}`,
  ]) {
    await t.rejects(store.listPending('acme', { limit: 1, after }), { name: 'InvalidPositionError' }, after);
  }
  for (const [after, events] of [
    ['0-0', []],
    ['7-3', []],
    [`${most}-1`, []],
    [most, []],
    [`0-${String(Number.MAX_SAFE_INTEGER - 1)}`, [event]],
  ] as const) {
    t.strictSame(await store.listPending('acme', { limit: 1, after }), { events, next: null }, after);
  }
});

void t.test('a store that is open beside a server sees in a walk what the server appends', async (t) => {
  const path = t.testdir();
  const server = await openTestStore(t, path);
  const beside = await openTestStore(t, path, { exclusive: false });
  const event = await server.add();
  await beside.refresh();
  t.strictSame(await beside.inbox(), [event]);
});
