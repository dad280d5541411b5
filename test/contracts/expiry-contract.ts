import { TTL } from './store-world.ts';
import type { It } from './store-world.ts';

/** Events whose time is over. */
export function expiry(it: It): void {
  it('an event is there until it expires, and then as if it had never been there', async (t, world) => {
    const { store } = world;
    const first = await world.add();
    const acknowledged = await world.add();
    const at = world.tick();
    await store.acknowledge('acme', acknowledged.id, at);
    world.advanceTo(first.createdAt + TTL - 1);
    const second = await world.add({ createdAt: first.createdAt + TTL - 1 });
    t.strictSame(await store.get('acme', first.id), first);
    await world.showsInbox(t, 'acme', [first, second]);
    await world.showsCount(t, 'acme', 2);

    world.advanceTo(first.createdAt + TTL);
    t.equal(await store.get('acme', first.id), undefined);
    t.strictSame(await store.acknowledge('acme', first.id, world.tick()), { outcome: 'missing' });
    t.equal(await store.remove('acme', first.id), false);
    world.advanceTo(acknowledged.createdAt + TTL);
    t.equal(await store.get('acme', acknowledged.id), undefined);
    const again = await store.acknowledge('acme', acknowledged.id, world.tick());
    t.strictSame(again, { outcome: 'missing' });
    await world.showsInbox(t, 'acme', [second]);
    await world.showsCount(t, 'acme', 1);
    t.strictSame(await store.get('acme', second.id), second);
  });

  it('a walk continues past events that expire meanwhile', async (t, world) => {
    const old = [await world.add(), await world.add(), await world.add(), await world.add()];
    world.advance(TTL / 2);
    const young = [await world.add(), await world.add()];
    await world.showsInbox(t, 'acme', [...old, ...young]);
    const first = await world.store.listPending('acme', { limit: 2, after: null });
    t.strictSame(first.events, old.slice(0, 2));
    world.advance(TTL / 2);
    const wanted = { events: young, next: null };
    const rest = await world.reads(
      () => world.store.listPending('acme', { limit: 2, after: first.next }),
      wanted,
    );
    t.strictSame(rest, wanted);
  });

  it('expired events leave no next page and are not counted, in every tenant', async (t, world) => {
    for (const tenant of ['a', 'ab', 'b']) for (let i = 0; i < 5; i++) await world.add({ tenant });
    world.advance(TTL);
    const young = await world.add({ tenant: 'ab' });
    await world.showsInbox(t, 'a', []);
    await world.showsInbox(t, 'ab', [young], { limit: 1 });
    await world.showsCount(t, 'a', 0);
    await world.showsCount(t, 'ab', 1);
    await world.showsCount(t, 'b', 0);
  });
}
