import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import type { EventStore } from '../../src/store/event-store.ts';
import { at, type It, type World } from './store-world.ts';

const LEASED = { limit: 10, leaseFor: 60e6 };

/** News of a tenant, and the tag of its first page. */
export function watching(it: It): void {
  it('those who watch are told of events that may be there', async (t, { store, add, event }) => {
    const told = watch(t, store, 'acme');
    await t.resolves(told.next(() => add({ tenant: 'acme' })));
    const many = [event({ tenant: 'acme' }), event({ tenant: 'acme' })].map((one) => ({ event: one }));
    await t.resolves(told.next(() => store.appendMany('acme', many)));
    const { leased } = await store.lease('acme', LEASED);
    const [{ event: first, lease }, second] = [at(leased, 0), at(leased, 1)];
    const released = { action: 'release', delay: 0, failed: false, reason: null } as const;
    await t.resolves(
      told.next(() => store.settle('acme', [{ ...released, eventId: first.id, leaseId: lease.id }])),
      'of one that is given back',
    );
    await store.settle('acme', [
      { action: 'reject', reason: null, eventId: second.event.id, leaseId: second.lease.id },
    ]);
    await t.resolves(told.next(() => store.redrive('acme', [second.event.id])));
  });

  it('nobody is told of other tenants, or after the end', async (t, { store, add }) => {
    const told = watch(t, store, 'acme');
    const other = watch(t, store, 'other');
    await other.next(() => add({ tenant: 'other' }));
    await quiet(told);
    told.end();
    const before = told.count();
    await other.next(() => add({ tenant: 'other' }));
    await add({ tenant: 'acme' });
    await sleep(20);
    t.equal(told.count(), before);
  });

  it('a tag is the same for as long as the first page shows the same', async (t, world) => {
    const { store, add } = world;
    const page = { limit: 2 };
    const { changed, same } = tags(t, world, page);
    await changed('an empty inbox');
    const first = await add({ tenant: 'acme', type: 'a' });
    await changed('an event');
    await add({ tenant: 'other' });
    await same('another tenant');
    await add({ tenant: 'acme', type: 'b' });
    await changed('another event');
    await add({ tenant: 'acme', type: 'c' });
    await changed('there is another page');
    await add({ tenant: 'acme', type: 'd' });
    await same('further pages');
    const { leased } = await store.lease('acme', { ...LEASED, limit: 1 });
    await changed('a lease');
    world.advance(61e6);
    await changed('the lease has run out');
    t.equal(leased.length, 1);
    await store.acknowledge('acme', first.id, world.tick());
    await changed('one is acknowledged');
    t.not(await tagOf(t, world, { limit: 1 }), await tagOf(t, world, { limit: 3 }));
    t.not(await tagOf(t, world, { limit: 2, type: 'b' }), await tagOf(t, world, { limit: 2, type: 'c' }));
    t.equal(await tagOf(t, world, { limit: 2, type: 'x' }), await tagOf(t, world, { limit: 2, type: 'y' }));
  });
}

function watch(t: Test, store: EventStore, tenant: string) {
  let count = 0;
  let told = (): void => undefined;
  const end = store.watch(tenant, () => {
    count++;
    told();
  });
  // Timers of a store keep no process alive; the sockets of a service do.
  const alive = setInterval(() => undefined, 1_000);
  t.teardown(() => {
    end();
    clearInterval(alive);
  });
  return {
    end,
    count: () => count,
    /** Resolves when it is told, and the action has resolved. */
    next: async (action: () => Promise<unknown>) => {
      const next = new Promise<void>((resolve) => (told = resolve));
      await action();
      await next;
    },
  };
}

/** Waits until nothing is told any more: an adapter may tell twice. */
async function quiet({ count }: { count: () => number }): Promise<void> {
  for (let before = -1; before !== count();) {
    before = count();
    await sleep(20);
  }
}

type Page = Parameters<EventStore['pendingTag']>[1];

/** The tag of the page and `pendingTag`, which are the same. */
async function tagOf(t: Test, { store }: World, page: Page): Promise<string> {
  const listed = await store.listPending('acme', { ...page, after: null });
  const tag = await store.pendingTag('acme', page);
  t.equal(listed.tag, tag, 'the page has it, too');
  return tag;
}

/** Checks whether the tag changes with what was done since. */
function tags(t: Test, world: World, page: Page) {
  let before = '';
  return {
    changed: async (what: string) => {
      const tag = await tagOf(t, world, page);
      t.not(tag, before, what);
      before = tag;
    },
    same: async (what: string) =>
      t.equal(await tagOf(t, world, page), before, `${what}: nothing has changed`),
  };
}
