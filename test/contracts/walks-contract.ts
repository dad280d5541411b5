import type { StoredEvent } from '../../src/store/event.ts';
import type { It } from './store-world.ts';

/** The part of the store's contract that says where a walk ends. */
export function walksThatEnd(it: It): void {
  for (const filter of [{}, { source: 's' }]) {
    it(`however fast events come, a walk ends with those from its start: ${JSON.stringify(filter)}`, async (t, world) => {
      const before: StoredEvent[] = [];
      for (let i = 0; i < 20; i++) before.push(await world.add({ source: 's' }));
      await world.showsInbox(t, 'acme', before);
      let pages = 0;
      const later: StoredEvent[] = [];
      const seen = await world.walk('acme', { limit: 3, ...filter }, async () => {
        t.ok(++pages <= 7, 'the walk has an end');
        if (pages > 10) throw new Error('it has none');
        for (let i = 0; i < 4; i++) later.push(await world.add({ source: 's' }));
      });
      t.strictSame(seen, before);
      await world.showsInbox(t, 'acme', [...before, ...later], filter);
    });
  }

  it('what is placed behind a walk is seen by the next, however fast events come', async (t, world) => {
    const oldest = await world.add();
    const before = [oldest];
    for (let i = 0; i < 5; i++) before.push(await world.add());
    await world.showsInbox(t, 'acme', before);
    const late = world.event({ createdAt: oldest.createdAt - 1 });
    let pages = 0;
    const first = await world.walk('acme', { limit: 2 }, async () => {
      if (++pages > 10) throw new Error('it has no end');
      if (pages === 2) await world.store.append(late);
      for (let i = 0; i < 3; i++) await world.add();
    });
    t.strictSame(first, before);
    const wanted = [true, before.length + 3 * pages + 1];
    const secondWalk = async () => {
      const ids = (await world.walk('acme', { limit: 50 })).map(({ id }) => id);
      return [ids.includes(late.id), new Set(ids).size];
    };
    t.strictSame(await world.reads(secondWalk, wanted), wanted);
  });

  it('a walk whose rest has left the inbox is over', async (t, world) => {
    const events = [await world.add(), await world.add(), await world.add()] as const;
    await world.showsInbox(t, 'acme', events);
    const { next } = await world.store.listPending('acme', { limit: 1, after: null });
    for (const { id } of events) await world.store.acknowledge('acme', id, world.tick());
    await world.add();
    const wanted = { events: [], next: null };
    const read = () => world.store.listPending('acme', { limit: 1, after: next });
    t.strictSame(await world.reads(read, wanted), wanted);
  });
}
