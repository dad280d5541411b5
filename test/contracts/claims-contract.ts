/** What claims mean on every event store: `append(event, claim)` in code. Plugged in like `store-contract.ts`. */
import { createHash, randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import type { Micros, StoredEvent } from '../../src/store/event.ts';
import type { Appended, Claim, EventStore } from '../../src/store/event-store.ts';
import type { OpenedStore, StoreHarness } from './store-world.ts';

const TTL: Micros = 7 * 86_400 * 1e6;
const WINDOW: Micros = 300 * 1e6;

interface World extends OpenedStore {
  /** Moves the suite's clock on. */
  advance(by: Micros): void;
  event(fields?: Partial<StoredEvent>): StoredEvent;
  claim(key: string, fields?: Partial<Claim>): Claim;
  /** Reads until the inbox holds just these events. */
  showsInbox(t: Test, events: readonly StoredEvent[], store?: EventStore): Promise<void>;
}

export function claimsContract(t: Test, harness: StoreHarness): void {
  const it = (name: string, body: (t: Test, world: World) => Promise<void>): void => {
    void t.test(`${harness.name}: claims: ${name}`, async (t) => {
      await body(t, await newWorld(t, harness));
    });
  };
  replays(it);
  lifetimes(it);
  concurrency(it);
}

type It = (name: string, body: (t: Test, world: World) => Promise<void>) => void;

function replays(it: It): void {
  it('the first event with a claim is stored, and later callers get that event', async (t, world) => {
    const { store } = world;
    const first = world.event();
    t.same(await store.append(first, world.claim('k')), { outcome: 'stored' });
    for (let i = 0; i < 3; i++) {
      const next = world.event();
      t.same(await store.append(next, world.claim('k')), duplicateOf(first));
      t.equal(await store.get('acme', next.id), undefined);
    }
    t.strictSame(await store.get('acme', first.id), first);
    await world.showsInbox(t, [first]);
  });

  it('the same claim with other content is a conflict and stores nothing', async (t, world) => {
    const { store } = world;
    const first = world.event();
    await store.append(first, world.claim('k'));
    const other = world.event({ payload: '{"other":1}' });
    t.same(await store.append(other, world.claim('k', { fingerprint: digest('other') })), {
      outcome: 'conflict',
    });
    t.equal(await store.get('acme', other.id), undefined);
    t.same(await store.append(world.event(), world.claim('k')), duplicateOf(first), 'the first still has it');
    await world.showsInbox(t, [first]);
  });

  it('different claims do not conflict, nor does an event without a claim', async (t, world) => {
    const { store } = world;
    const events = [world.event(), world.event(), world.event()];
    const [a, b, c] = events as [StoredEvent, StoredEvent, StoredEvent];
    t.same(await store.append(a, world.claim('a')), { outcome: 'stored' });
    t.same(await store.append(b, world.claim('b')), { outcome: 'stored' });
    t.same(await store.append(c), { outcome: 'stored' });
    await world.showsInbox(t, events);
  });

  it('a claimed event is an event like any other', async (t, world) => {
    const { store } = world;
    const event = world.event({
      source: null,
      metadata: '{"priority":"high"}',
      payload: '{"n":1.10,"big":1e400}',
    });
    await store.append(event, world.claim('k'));
    t.strictSame(await store.get('acme', event.id), event);
    t.equal(await store.get('other', event.id), undefined);
    const at = event.createdAt + 5;
    t.strictSame(await store.acknowledge('acme', event.id, at), {
      outcome: 'acknowledged',
      acknowledgedAt: at,
    });
    t.strictSame(await store.get('acme', event.id), { ...event, acknowledgedAt: at });
  });

  it('a large payload can have a claim as well', async (t, world) => {
    const event = world.event({ payload: `{"fill":"${'x'.repeat(409_589)}"}` });
    t.equal(event.payload.length, 409_600);
    await world.store.append(event, world.claim('k'));
    t.strictSame(await world.store.get('acme', event.id), event);
  });
}

function lifetimes(it: It): void {
  it('acknowledged meanwhile: the duplicate gets the first id and brings nothing back', async (t, world) => {
    const { store } = world;
    const first = world.event();
    await store.append(first, world.claim('k'));
    const at = first.createdAt + 5;
    await store.acknowledge('acme', first.id, at);
    t.same(await store.append(world.event(), world.claim('k')), duplicateOf(first));
    t.equal((await store.get('acme', first.id))?.acknowledgedAt, at);
    await world.showsInbox(t, []);
  });

  it('deleted meanwhile: the duplicate gets the first id and brings nothing back', async (t, world) => {
    const { store } = world;
    for (const acknowledge of [false, true]) {
      const name = `k-${String(acknowledge)}`;
      const first = world.event();
      await store.append(first, world.claim(name));
      if (acknowledge) await store.acknowledge('acme', first.id, first.createdAt + 5);
      t.equal(await store.remove('acme', first.id), true);
      t.same(await store.append(world.event(), world.claim(name)), duplicateOf(first));
      t.equal(await store.get('acme', first.id), undefined);
      t.same(await store.acknowledge('acme', first.id, first.createdAt + 9), { outcome: 'missing' });
      t.equal(await store.remove('acme', first.id), false, 'it is gone for whoever deletes it again');
      t.same(await store.append(world.event(), world.claim(name)), duplicateOf(first));
    }
    await world.showsInbox(t, []);
  });

  it('an expired claim can be taken again', async (t, world) => {
    const { store } = world;
    const first = world.event();
    await store.append(first, world.claim('k'));
    world.advance(WINDOW - 1e6);
    t.same(await store.append(world.event(), world.claim('k')), duplicateOf(first), 'not before its time');
    world.advance(1e6);
    const second = world.event();
    const other = world.claim('k', { fingerprint: digest('other') });
    t.same(await store.append(second, other), { outcome: 'stored' }, 'whatever its content');
    t.same(await store.append(world.event(), other), duplicateOf(second));
    t.same(await store.append(world.event(), world.claim('k')), { outcome: 'conflict' });
    await world.showsInbox(t, [first, second]);
  });

  it('a claim outlives a restart', async (t, world) => {
    if (!world.reopen) return;
    const first = world.event();
    await world.store.append(first, world.claim('k'));
    await world.store.close();
    const store = await world.reopen();
    t.same(await store.append(world.event(), world.claim('k')), duplicateOf(first));
    await world.showsInbox(t, [first], store);
  });
}

function concurrency(it: It): void {
  it('of 100 callers at once exactly one stores its event, and all get its id', async (t, world) => {
    const events = Array.from({ length: 100 }, () => world.event());
    const outcomes = await Promise.all(events.map((event) => world.store.append(event, world.claim('k'))));
    const stored = events.filter((_, at) => outcomes[at]?.outcome === 'stored');
    t.equal(stored.length, 1);
    const [first] = stored as [StoredEvent];
    for (const outcome of outcomes) {
      if (outcome.outcome !== 'stored') t.same(outcome, duplicateOf(first));
    }
    await world.showsInbox(t, [first]);
  });

  it('many claims at once, each by several callers', async (t, world) => {
    const claims = Array.from({ length: 20 }, (_, at) => world.claim(`k${String(at)}`));
    const tries = claims
      .flatMap((claim) => [claim, claim, claim, claim])
      .map((claim) => ({ claim, event: world.event() }));
    const outcomes = await Promise.all(tries.map(({ claim, event }) => world.store.append(event, claim)));
    for (const claim of claims) {
      const mine = tries.flatMap((tried, at) =>
        tried.claim === claim ? [{ ...tried, outcome: outcomes[at] }] : [],
      );
      const stored = mine.filter(({ outcome }) => outcome?.outcome === 'stored');
      t.equal(stored.length, 1);
      const first = stored[0]?.event;
      t.ok(mine.every(({ outcome }) => outcome?.outcome !== 'duplicate' || outcome.id === first?.id));
    }
    const expected = tries.filter((_, at) => outcomes[at]?.outcome === 'stored').map(({ event }) => event);
    await world.showsInbox(
      t,
      expected.toSorted((a, b) => a.createdAt - b.createdAt),
    );
  });
}

function duplicateOf({ id, createdAt }: StoredEvent): Appended {
  return { outcome: 'duplicate', id, createdAt };
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

async function newWorld(t: Test, harness: StoreHarness): Promise<World> {
  let now = Date.now() * 1000;
  // Claims that outlive their test must not meet in a store that is shared by tests.
  const salt = randomUUID();
  const opened = await harness.open(t, { now: () => now, eventTtl: TTL });
  return {
    ...opened,
    advance(by) {
      now += by;
    },
    event: (fields = {}) => ({
      id: randomUUID(),
      tenant: 'acme',
      source: 's',
      type: 't',
      payload: '{}',
      metadata: null,
      createdAt: ++now,
      acknowledgedAt: null,
      ...fields,
    }),
    claim: (key, fields = {}) => ({
      key: digest(salt + key),
      fingerprint: digest('content'),
      expiresAt: now + WINDOW,
      ...fields,
    }),
    async showsInbox(t, events, store = opened.store) {
      const wanted = events.map((event) => event.id);
      let shown: string[] = [];
      for (let attempt = 0; attempt < (opened.attempts ?? 1); attempt++) {
        await opened.settle?.(attempt);
        const page = await store.listPending('acme', { limit: 1000, after: null });
        shown = page.events.map((event) => event.id);
        if (shown.join() === wanted.join()) break;
      }
      t.same(shown, wanted);
    },
  };
}
