import { createHash, randomUUID } from 'node:crypto';
import { MANY, type Append, type Claim } from '../../src/store/event-store.ts';
import { StoreUnavailableError } from '../../src/store/store-errors.ts';
import { at, payloadOf, TTL } from './store-world.ts';
import type { It, World } from './store-world.ts';

/** Calls for many events at once. */
export function manyAtOnce(it: It): void {
  appendingMany(it);
  claimingMany(it);
  acknowledgingMany(it);
  acknowledgingTogether(it);

  it('neither call takes anything after close', async (t, { store, event, tick }) => {
    await store.close();
    await t.rejects(store.appendMany('acme', [{ event: event() }]), StoreUnavailableError);
    await t.rejects(store.acknowledgeMany('acme', [randomUUID()], tick()), StoreUnavailableError);
  });
}

function appendingMany(it: It): void {
  it('appendMany stores all events, in the order of the list', async (t, world) => {
    const events = Array.from({ length: MANY }, (_, n) => world.event({ payload: `{"n":${String(n)}}` }));
    const results = await world.store.appendMany('acme', withoutClaims(events));
    t.strictSame(results, stored(MANY));
    await world.showsInbox(t, 'acme', events, { limit: 70 });
    await world.showsCount(t, 'acme', MANY);
    for (const event of events) t.strictSame(await world.store.get('acme', event.id), event);
  });

  it('appendMany keeps the order between calls', async (t, world) => {
    const lists = Array.from({ length: 20 }, () => Array.from({ length: 7 }, () => world.event()));
    await Promise.all(lists.map((events) => world.store.appendMany('acme', withoutClaims(events))));
    await world.showsInbox(t, 'acme', lists.flat(), { limit: 33 });
  });

  it('appendMany takes nothing, one event, and events of many sizes', async (t, world) => {
    t.strictSame(await world.store.appendMany('acme', []), []);
    const one = world.event();
    t.strictSame(await world.store.appendMany('acme', withoutClaims([one])), stored(1));
    const events = [1, 3_000, 409_600, 20, 100_000].map((bytes) =>
      world.event({ payload: payloadOf(Math.max(bytes, 10)) }),
    );
    t.strictSame(await world.store.appendMany('acme', withoutClaims(events)), stored(5));
    await world.showsInbox(t, 'acme', [one, ...events]);
  });

  it('appendMany keeps tenants apart', async (t, world) => {
    const mine = [world.event(), world.event()];
    const theirs = [world.event({ tenant: 'globex' })];
    await Promise.all([
      world.store.appendMany('acme', withoutClaims(mine)),
      world.store.appendMany('globex', withoutClaims(theirs)),
    ]);
    await world.showsInbox(t, 'acme', mine);
    await world.showsInbox(t, 'globex', theirs);
  });
}

function claimingMany(it: It): void {
  it('appendMany: claims hold between calls and within one', async (t, world) => {
    const { store } = world;
    const first = world.event();
    await store.append(first, claimOf(world, 'before'));
    const events = Array.from({ length: 6 }, () => world.event());
    const claims = ['before', 'a', 'b', 'a', undefined, 'b'];
    const fingerprints = ['', '', '', '', '', 'other content'];
    const results = await store.appendMany(
      'acme',
      events.map((event, n) => {
        const key = claims[n];
        return { event, claim: key === undefined ? undefined : claimOf(world, key, fingerprints[n]) };
      }),
    );
    t.strictSame(results, [
      { outcome: 'duplicate', id: first.id, createdAt: first.createdAt },
      { outcome: 'stored' },
      { outcome: 'stored' },
      { outcome: 'duplicate', id: at(events, 1).id, createdAt: at(events, 1).createdAt },
      { outcome: 'stored' },
      { outcome: 'conflict' },
    ]);
    await world.showsInbox(t, 'acme', [first, at(events, 1), at(events, 2), at(events, 4)]);
    t.equal(await store.get('acme', at(events, 3).id), undefined);
  });

  it('appendMany: a whole list with claims is repeated without harm', async (t, world) => {
    const appends = (n: number): Append => ({
      event: world.event(),
      claim: claimOf(world, `item ${String(n)}`),
    });
    const numbers = Array.from({ length: 40 }, (_, n) => n);
    const first = numbers.map(appends);
    t.strictSame(await world.store.appendMany('acme', first), stored(40));
    const again = await world.store.appendMany('acme', numbers.map(appends));
    t.strictSame(
      again,
      first.map(({ event: { id, createdAt } }) => ({ outcome: 'duplicate', id, createdAt })),
    );
    await world.showsInbox(
      t,
      'acme',
      first.map(({ event }) => event),
    );
  });

  it('appendMany: of many callers with the same claims exactly one stores each event', async (t, world) => {
    const callers = Array.from({ length: 8 }, () =>
      Array.from({ length: 12 }, (_, n) => ({
        event: world.event(),
        claim: claimOf(world, `shared ${String(n)}`),
      })),
    );
    const results = await Promise.all(callers.map((appends) => world.store.appendMany('acme', appends)));
    for (let n = 0; n < 12; n++) {
      const outcomes = results.map((list) => at(list, n));
      const winner = outcomes.findIndex(({ outcome }) => outcome === 'stored');
      t.equal(outcomes.filter(({ outcome }) => outcome === 'stored').length, 1);
      const { id, createdAt } = at(at(callers, winner), n).event;
      const others = outcomes.filter((_, caller) => caller !== winner);
      for (const other of others) t.strictSame(other, { outcome: 'duplicate', id, createdAt });
    }
  });
}

function acknowledgingMany(it: It): void {
  it('acknowledgeMany says of each id what acknowledge would say', async (t, world) => {
    const { store, add, tick } = world;
    const events = [];
    for (let n = 0; n < 5; n++) events.push(await add());
    const foreign = await add({ tenant: 'globex' });
    const [first, second, third, fourth, fifth] = events.map(({ id }) => id) as [
      string,
      string,
      string,
      string,
      string,
    ];
    const before = tick();
    await store.acknowledge('acme', second, before);
    await store.remove('acme', third);
    const now = tick();
    const ids = [fourth, second, randomUUID(), third, 'no-uuid', foreign.id, first];
    t.strictSame(await store.acknowledgeMany('acme', ids, now), [
      { outcome: 'acknowledged', acknowledgedAt: now },
      { outcome: 'already', acknowledgedAt: before },
      { outcome: 'missing' },
      { outcome: 'missing' },
      { outcome: 'missing' },
      { outcome: 'missing' },
      { outcome: 'acknowledged', acknowledgedAt: now },
    ]);
    t.equal((await store.get('acme', first))?.acknowledgedAt, now);
    t.equal((await store.get('acme', fifth))?.acknowledgedAt, null);
    await world.showsInbox(t, 'acme', [at(events, 4)]);
    await world.showsInbox(t, 'globex', [foreign]);
    await world.showsCount(t, 'acme', 1);
  });

  it('acknowledgeMany takes nothing, and as many as appendMany', async (t, world) => {
    const { store, tick } = world;
    t.strictSame(await store.acknowledgeMany('acme', [], tick()), []);
    const events = Array.from({ length: MANY + 1 }, () => world.event());
    await store.appendMany('acme', withoutClaims(events.slice(0, MANY)));
    await store.append(at(events, MANY));
    const now = tick();
    const ids = events.slice(0, MANY).map(({ id }) => id);
    const done = ids.map(() => ({ outcome: 'acknowledged', acknowledgedAt: now }));
    t.strictSame(await store.acknowledgeMany('acme', ids.toReversed(), now), done);
    await world.showsInbox(t, 'acme', [at(events, MANY)]);
    const again = await store.acknowledgeMany('acme', ids, tick());
    t.strictSame(
      again,
      ids.map(() => ({ outcome: 'already', acknowledgedAt: now })),
    );
    await world.showsCount(t, 'acme', 1);
  });
}

function acknowledgingTogether(it: It): void {
  it('acknowledgeMany: of many callers at once exactly one acknowledges each event', async (t, world) => {
    const { store } = world;
    const events = Array.from({ length: 30 }, () => world.event());
    await store.appendMany('acme', withoutClaims(events));
    const ids = events.map(({ id }) => id);
    const lists = await Promise.all(
      Array.from({ length: 6 }, () => store.acknowledgeMany('acme', ids, world.tick())),
    );
    for (const [index, id] of ids.entries()) {
      const results = lists.map((list) => at(list, index));
      t.equal(results.filter(({ outcome }) => outcome === 'acknowledged').length, 1);
      const time = (await store.get('acme', id))?.acknowledgedAt;
      for (const result of results) t.match(result, { acknowledgedAt: time });
    }
    await world.showsInbox(t, 'acme', []);
  });

  it('acknowledgeMany does not find what has expired', async (t, world) => {
    const { store, add, advance, tick } = world;
    const old = await add();
    advance(TTL);
    const fresh = await add();
    const results = await store.acknowledgeMany('acme', [old.id, fresh.id], tick());
    t.match(results, [{ outcome: 'missing' }, { outcome: 'acknowledged' }]);
  });
}

function withoutClaims(events: readonly Append['event'][]): Append[] {
  return events.map((event) => ({ event }));
}

function stored(count: number): { outcome: 'stored' }[] {
  return Array.from({ length: count }, () => ({ outcome: 'stored' }));
}

function claimOf(world: World, key: string, content = ''): Claim {
  const digest = (text: string) => createHash('sha256').update(text).digest('hex');
  return { key: digest(key), fingerprint: digest(content), expiresAt: world.tick() + 300 * 1e6 };
}
