import type { StoredEvent } from '../../src/store/event.ts';
import { MAX_PAYLOAD, randomAscii } from './store-world.ts';
import type { It } from './store-world.ts';

/** Events of other tenants count as missing. */
export function tenantsKeptApart(it: It): void {
  it('another tenant sees nothing and changes nothing', async (t, world) => {
    const { store } = world;
    const event = await world.add({ tenant: 'acme' });
    t.equal(await store.get('other', event.id), undefined);
    t.strictSame(await store.acknowledge('other', event.id, world.tick()), { outcome: 'missing' });
    t.equal(await store.remove('other', event.id), false);
    await world.showsInbox(t, 'other', []);
    await world.showsCount(t, 'other', 0);
    t.strictSame(await store.get('acme', event.id), event);
    await world.showsInbox(t, 'acme', [event]);
    await world.showsCount(t, 'acme', 1);
  });

  it('names that look alike are different tenants', async (t, world) => {
    const tenants = ['a', 'ab', 'a-', 'a_', 'A', 'a0', '0', '-', 'a'.repeat(63), 'a'.repeat(64)];
    const events: StoredEvent[] = [];
    for (let round = 0; round < 2; round++) {
      for (const tenant of tenants) events.push(await world.add({ tenant }));
    }
    for (const tenant of tenants) {
      const own = events.filter((event) => event.tenant === tenant);
      await world.showsInbox(t, tenant, own);
      await world.showsInbox(t, tenant, own, { limit: 1 });
      await world.showsCount(t, tenant, 2);
    }
  });
}

/** Acknowledging, also by many callers at once. */
export function acknowledging(it: It): void {
  it('a pending event becomes acknowledged, and is then already acknowledged', async (t, {
    store,
    add,
    tick,
  }) => {
    const event = await add({ metadata: '{"a":1.0}' });
    const at = tick();
    t.strictSame(await store.acknowledge('acme', event.id, at), {
      outcome: 'acknowledged',
      acknowledgedAt: at,
    });
    t.strictSame(await store.acknowledge('acme', event.id, tick()), {
      outcome: 'already',
      acknowledgedAt: at,
    });
    t.strictSame(await store.get('acme', event.id), { ...event, acknowledgedAt: at });
  });

  it('an acknowledged event is readable, not in the inbox and not counted', async (t, world) => {
    const event = await world.add();
    const other = await world.add();
    const at = world.tick();
    await world.store.acknowledge('acme', event.id, at);
    t.strictSame(await world.store.get('acme', event.id), { ...event, acknowledgedAt: at });
    await world.showsInbox(t, 'acme', [other]);
    await world.showsCount(t, 'acme', 1);
  });

  it('an event of the largest size can be acknowledged', async (t, { store, add, tick }) => {
    const event = await add({ payload: randomAscii(MAX_PAYLOAD), metadata: `{"k":"${'x'.repeat(8_184)}"}` });
    const at = tick();
    await store.acknowledge('acme', event.id, at);
    t.strictSame(await store.get('acme', event.id), { ...event, acknowledgedAt: at });
  });

  it('of 50 callers at once exactly one acknowledges', async (t, { store, add, tick }) => {
    const event = await add();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => store.acknowledge('acme', event.id, tick())),
    );
    const winners = answers.filter((answer) => answer.outcome === 'acknowledged');
    t.equal(winners.length, 1);
    t.equal(answers.filter((answer) => answer.outcome === 'already').length, 49);
    const stored = await store.get('acme', event.id);
    const times = answers.map((answer) => (answer.outcome === 'missing' ? null : answer.acknowledgedAt));
    t.strictSame(new Set(times), new Set([stored?.acknowledgedAt]));
  });
}

/** Deleting, also by many callers at once. */
export function removing(it: It): void {
  for (const state of ['pending', 'acknowledged']) {
    it(`a removed ${state} event is gone`, async (t, world) => {
      const { store } = world;
      const event = await world.add();
      const other = await world.add();
      if (state === 'acknowledged') await store.acknowledge('acme', event.id, world.tick());
      t.equal(await store.remove('acme', event.id), true);
      t.equal(await store.get('acme', event.id), undefined);
      t.strictSame(await store.acknowledge('acme', event.id, world.tick()), { outcome: 'missing' });
      t.equal(await store.remove('acme', event.id), false);
      await world.showsInbox(t, 'acme', [other]);
      await world.showsCount(t, 'acme', 1);
    });
  }

  it('of 20 callers at once exactly one removes', async (t, world) => {
    const event = await world.add();
    const answers = await Promise.all(Array.from({ length: 20 }, () => world.store.remove('acme', event.id)));
    t.equal(answers.filter(Boolean).length, 1);
    await world.showsCount(t, 'acme', 0);
  });

  it('acknowledge and remove at once leave nothing', async (t, world) => {
    const events = [];
    for (let i = 0; i < 10; i++) events.push(await world.add());
    await Promise.all(
      events.flatMap(({ id }) => [
        world.store.acknowledge('acme', id, world.tick()),
        world.store.remove('acme', id),
      ]),
    );
    for (const { id } of events) t.equal(await world.store.get('acme', id), undefined);
    await world.showsInbox(t, 'acme', []);
    await world.showsCount(t, 'acme', 0);
  });
}
