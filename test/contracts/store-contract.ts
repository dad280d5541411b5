/**
 * What every event store must do: the meaning of `src/store/event-store.ts` in code. An adapter passes it unchanged.
 *
 * To plug an adapter in, write `test/store-<name>.test.ts`:
 *
 *     import t from 'tap';
 *     import { storeContract } from './store-contract.ts';
 *
 *     storeContract(t, {
 *       name: 'embedded',
 *       open: async (t, { now, eventTtl }) => {
 *         const store = await openMyStore({ folder: t.testdir(), now, eventTtl });
 *         t.teardown(() => store.close());
 *         return { store };
 *       },
 *     });
 *
 * `open` gives a fresh, empty store to each test and cleans up in `t.teardown`; the test may have closed the store by
 * then. The suite owns the clock: it hands out `now` (around the wall time, in microseconds) and moves it on.
 *
 * A store whose inbox and count may lag behind its writes gives `settle` and `attempts` too: before each read that
 * the suite compares, it awaits `settle` (advance the clock that the age of a cached count is taken from, and from
 * the second attempt on wait a little for the index), and it reads up to `attempts` times until the answer fits.
 * Reads by id are never retried: they are consistent. A store whose data outlives it gives `reopen`.
 */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Test } from 'tap';
import type { Micros, StoredEvent } from '../../src/store/event.ts';
import { StoreUnavailableError } from '../../src/store/store-errors.ts';
import type { EventStore, PageRequest } from '../../src/store/event-store.ts';
import { sampleEvent } from '../../bench/harness/event.ts';
import { walksThatEnd } from './walks-contract.ts';

export interface StoreHarness {
  readonly name: string;
  open(t: Test, options: StoreOptions): Promise<OpenedStore>;
}

export interface StoreOptions {
  readonly now: () => Micros;
  readonly eventTtl: Micros;
}

export interface OpenedStore {
  readonly store: EventStore;
  /** Makes inbox and count show the writes that have resolved. `attempt` counts from 0 for each comparison. */
  readonly settle?: (attempt: number) => Promise<void>;
  /** How often an inbox or count is read until it fits; absent: once. */
  readonly attempts?: number;
  /** A store over the same data, after `store.close()`. */
  readonly reopen?: () => Promise<EventStore>;
}

/** Runs the suite against the harness's stores. */
export function storeContract(t: Test, harness: StoreHarness): void {
  const sections = {
    reading: readingBack,
    tenants: tenantsKeptApart,
    acknowledging,
    removing,
    listing,
    'walking on while things change': walking,
    'walks that end': walksThatEnd,
    filtering,
    'page size': pageSize,
    counting,
    expiry,
    concurrency,
    closing,
  };
  for (const [name, section] of Object.entries(sections)) {
    void t.test(`${harness.name}: ${name}`, (t) => {
      section((name, body) => {
        void t.test(name, async (t) => {
          await body(t, await newWorld(t, harness));
        });
      });
      t.end();
    });
  }
}

export type It = (name: string, body: (t: Test, world: World) => Promise<void>) => void;

const TTL: Micros = 7 * 86_400 * 1e6;
const MAX_PAYLOAD = 409_600;

function readingBack(it: It): void {
  const texts: Record<string, Partial<StoredEvent>> = {
    'a plain event': {},
    'unicode and escapes in the payload': {
      payload: '{"ü":"\\u00fc \\ud83d\\ude00 😀","z":"\\\\ \\" \\/ \\n"}',
    },
    'a lone surrogate, escaped': { payload: '{"half":"\\ud800"}' },
    'numbers as they were written': { payload: '{"a":1e400,"b":1.10,"c":9007199254740993,"d":-0,"e":1E+2}' },
    'keys as they were written': {
      payload: '{"b":1,"a":2,"b":3,"__proto__":{"x":1},"constructor":null,"":0}',
    },
    'white space in the payload': { payload: '{ "a" :\n\t[ ]\r\n}' },
    'nesting of 10,000 levels': { payload: `{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}` },
    'an empty payload': { payload: '{}' },
    'no source': { source: null },
    'no metadata': { metadata: null },
    'metadata as text': { metadata: '{"priority":"normal","correlation_id":"c-1","n":1.0,"ü":"\\u0000"}' },
    '255 code points of emoji': { source: '😀'.repeat(255), type: '🏳'.repeat(255) },
    'one character each': { source: '.', type: '"' },
    'a NUL and separators': { source: 'a\0b#c|d', type: '\0#\u001f\u2028' },
    'metadata of 8 KB': { metadata: `{"k":"${'ü'.repeat(4_092)}"}` },
    'a payload of 409,600 equal bytes': { payload: payloadOf(MAX_PAYLOAD) },
    'a payload of 409,600 random bytes of ASCII': { payload: noise(MAX_PAYLOAD) },
    'a payload of 409,600 bytes of euro signs': { payload: `{"k":"${'€'.repeat(136_530)}xx"}` },
  };
  for (const [name, fields] of Object.entries(texts)) {
    it(`${name}: get returns what was appended`, async (t, { store, add }) => {
      const event = await add(fields);
      t.strictSame(await store.get(event.tenant, event.id), event);
    });
  }

  it('listPending returns what was appended', async (t, world) => {
    const events = [];
    for (const fields of Object.values(texts)) events.push(await world.add(fields));
    const listed = await world.reads(() => world.walk('acme', { limit: 100 }), events);
    t.strictSame(listed, events);
  });

  it('new ids are UUIDs in v4 form, and no two are the same', (t, { store, tick }) => {
    const times = Array.from({ length: 500 }, () => tick());
    const ids = [...times, ...times].map((time) => store.newId('acme', time));
    t.equal(new Set(ids).size, ids.length);
    for (const id of ids)
      t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    return Promise.resolve();
  });

  it('an event that was acknowledged before it was appended is not pending', async (t, world) => {
    const event = await world.add({ acknowledgedAt: world.tick() });
    t.strictSame(await world.store.get('acme', event.id), event);
    await world.showsInbox(t, 'acme', []);
    await world.showsCount(t, 'acme', 0);
    const again = await world.store.acknowledge('acme', event.id, world.tick());
    t.strictSame(again, { outcome: 'already', acknowledgedAt: event.acknowledgedAt });
  });

  it('an id that nobody has is missing', async (t, { store, add, tick }) => {
    await add();
    for (const id of [randomUUID(), 'no-uuid', '00000000-0000-0000-0000-000000000000']) {
      t.equal(await store.get('acme', id), undefined);
      t.strictSame(await store.acknowledge('acme', id, tick()), { outcome: 'missing' });
      t.equal(await store.remove('acme', id), false);
    }
  });

  it('ping resolves', async (t, { store }) => {
    await t.resolves(store.ping());
  });
}

function tenantsKeptApart(it: It): void {
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

function acknowledging(it: It): void {
  it('a pending event becomes acknowledged, then is already so', async (t, { store, add, tick }) => {
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
    const event = await add({ payload: noise(MAX_PAYLOAD), metadata: `{"k":"${'x'.repeat(8_184)}"}` });
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

function removing(it: It): void {
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

function listing(it: It): void {
  it('an empty inbox has no events and no next page', async (t, { store }) => {
    t.strictSame(await store.listPending('nobody', { limit: 50, after: null }), { events: [], next: null });
  });

  it('events come oldest first by createdAt', async (t, world) => {
    const events = [];
    for (const step of [1, 5, 999, 1, 1_000_000, 3]) {
      world.advance(step);
      events.push(await world.add());
    }
    await world.showsInbox(t, 'acme', events);
  });

  it('pages follow each other, and next is null exactly at the end', async (t, world) => {
    const events: StoredEvent[] = [];
    for (let i = 0; i < 12; i++) events.push(await world.add());
    for (const limit of [1, 2, 3, 5, 6, 11, 12, 13, 200]) {
      const wanted = [];
      for (let at = 0; at < 12; at += limit) wanted.push(events.slice(at, at + limit));
      t.strictSame(
        await world.reads(() => world.pages('acme', { limit }), wanted),
        wanted,
        `limit ${String(limit)}`,
      );
    }
  });

  it('a position is printable ASCII and can be used again', async (t, world) => {
    const events = [await world.add(), await world.add(), await world.add()];
    await world.showsInbox(t, 'acme', events);
    const { next } = await world.store.listPending('acme', { limit: 1, after: null });
    t.match(next, /^[ -~]+$/);
    for (let i = 0; i < 2; i++) {
      const page = await world.store.listPending('acme', { limit: 5, after: next });
      t.strictSame(page, { events: events.slice(1), next: null });
    }
  });

  it('a position outlives the event that it stands at', async (t, world) => {
    const events = [await world.add(), await world.add(), await world.add(), await world.add()] as const;
    await world.showsInbox(t, 'acme', events);
    const { next } = await world.store.listPending('acme', { limit: 2, after: null });
    await world.store.remove('acme', events[1].id);
    await world.store.acknowledge('acme', events[2].id, world.tick());
    const wanted = { events: [events[3]], next: null };
    t.strictSame(
      await world.reads(() => world.store.listPending('acme', { limit: 2, after: next }), wanted),
      wanted,
    );
  });
}

function walking(it: It): void {
  it('events appended meanwhile come at most once, those from before exactly once', async (t, world) => {
    const before: StoredEvent[] = [];
    for (let i = 0; i < 20; i++) before.push(await world.add());
    await world.showsInbox(t, 'acme', before);
    const later: StoredEvent[] = [];
    const seen = await world.walk('acme', { limit: 3 }, async () => {
      if (later.length < 10) later.push(await world.add());
    });
    t.strictSame(
      seen.filter((event) => before.some(({ id }) => id === event.id)),
      before,
    );
    t.equal(new Set(seen.map(({ id }) => id)).size, seen.length);
    await world.showsInbox(t, 'acme', [...before, ...later]);
  });

  it('a consumer that acknowledges page by page sees each event once', async (t, world) => {
    const events: StoredEvent[] = [];
    for (let i = 0; i < 20; i++) events.push(await world.add());
    await world.showsInbox(t, 'acme', events);
    const seen = await world.walk('acme', { limit: 3 }, async (page) => {
      for (const { id } of page) await world.store.acknowledge('acme', id, world.tick());
    });
    t.strictSame(seen, events);
    await world.showsInbox(t, 'acme', []);
  });

  it('events acknowledged or removed before the walk reaches them are left out', async (t, world) => {
    const events: StoredEvent[] = [];
    for (let i = 0; i < 20; i++) events.push(await world.add());
    await world.showsInbox(t, 'acme', events);
    let pages = 0;
    const seen = await world.walk('acme', { limit: 4 }, async () => {
      if (++pages > 1) return;
      // Seen already: 1 and 2. Still ahead: 4 (the very next), 10 and 19 (the last).
      for (const index of [1, 4, 19])
        await world.store.acknowledge('acme', at(events, index).id, world.tick());
      for (const index of [2, 10]) await world.store.remove('acme', at(events, index).id);
    });
    const gone = [4, 10, 19];
    t.strictSame(
      seen.map(({ id }) => id),
      events.filter((_, index) => !gone.includes(index)).map(({ id }) => id),
    );
  });
}

function filtering(it: It): void {
  it('by source, by type and by both: exact, in order, filled up', async (t, world) => {
    const events: StoredEvent[] = [];
    for (let i = 0; i < 60; i++) {
      const source = i % 3 === 0 ? 's' : i % 3 === 1 ? 'S' : null;
      events.push(await world.add({ source, type: i % 5 === 0 ? 't' : 'tt' }));
    }
    const filters = [
      { source: 's' },
      { type: 't' },
      { source: 's', type: 't' },
      { source: 'none' },
      { type: 'T' },
    ];
    for (const filter of filters) {
      const matching = events.filter(
        ({ source, type }) => source === (filter.source ?? source) && type === (filter.type ?? type),
      );
      // Every page but the last is full although most events in between do not match.
      for (const limit of [1, 2, 4, 20]) {
        const wanted: StoredEvent[][] = matching.length === 0 ? [[]] : [];
        for (let at = 0; at < matching.length; at += limit) wanted.push(matching.slice(at, at + limit));
        const pages = await world.reads(() => world.pages('acme', { limit, ...filter }), wanted);
        t.strictSame(pages, wanted, JSON.stringify({ limit, ...filter }));
      }
    }
    await world.showsCount(t, 'acme', 60);
  });

  it('texts that would run together are kept apart', async (t, world) => {
    const pairs = [
      ['a', 'b\0c'],
      ['a\0b', 'c'],
      ['a#b', 'c'],
      ['a', '#b#c'],
      ['a|b', 'c'],
      ['', 'a'],
      ['a'.repeat(255), 'b'],
      ['a'.repeat(254), 'ab'],
      ['ü', 'ü'],
      ['u\u0308', 'ü'],
      ['null', 'undefined'],
    ].map(([source, type]) => ({ source: source ?? '', type: type ?? '' }));
    const named = pairs.filter(({ source }) => source !== '');
    const events: StoredEvent[] = [];
    for (const pair of named) events.push(await world.add(pair));
    events.push(await world.add({ source: null, type: 'a' }));
    await world.showsInbox(t, 'acme', events);
    for (const filter of pairs) {
      const wanted = events.filter(({ source, type }) => source === filter.source && type === filter.type);
      await world.showsInbox(t, 'acme', wanted, filter);
    }
  });

  it('an empty source is not the absent one', async (t, world) => {
    const event = await world.add({ source: null });
    await world.showsInbox(t, 'acme', [event]);
    await world.showsInbox(t, 'acme', [], { source: '' });
    await world.showsInbox(t, 'acme', [], { source: 'null' });
  });
}

function pageSize(it: It): void {
  it('a page ends with the event that brings it to 4 MiB of payload', async (t, world) => {
    const events: StoredEvent[] = [];
    const payload = payloadOf(MAX_PAYLOAD);
    for (let i = 0; i < 24; i++) events.push(await world.add({ payload }));
    // 10 payloads of 409,600 bytes are below 4,194,304 bytes, 11 are above.
    const wanted = [11, 11, 2];
    const sizes = async () => (await world.pages('acme', { limit: 100 })).map((page) => page.length);
    t.strictSame(await world.reads(sizes, wanted), wanted);
    await world.showsInbox(t, 'acme', events, { limit: 100 });
  });

  it('the limit counts before the size', async (t, world) => {
    const payload = payloadOf(MAX_PAYLOAD);
    for (let i = 0; i < 5; i++) await world.add({ payload });
    const sizes = async () => (await world.pages('acme', { limit: 2 })).map((page) => page.length);
    t.strictSame(await world.reads(sizes, [2, 2, 1]), [2, 2, 1]);
  });

  it('payload is measured in bytes, not characters', async (t, world) => {
    const payload = `{"k":"${'€'.repeat(136_530)}xx"}`;
    t.equal(Buffer.byteLength(payload), MAX_PAYLOAD);
    for (let i = 0; i < 12; i++) await world.add({ payload });
    const sizes = async () => (await world.pages('acme', { limit: 100 })).map((page) => page.length);
    t.strictSame(await world.reads(sizes, [11, 1]), [11, 1]);
  });
}

function counting(it: It): void {
  it('follows append, acknowledge and remove, each once', async (t, world) => {
    const { store } = world;
    await world.showsCount(t, 'acme', 0);
    const events = [await world.add(), await world.add(), await world.add(), await world.add()] as const;
    await world.add({ tenant: 'other' });
    await world.showsCount(t, 'acme', 4);
    for (let i = 0; i < 2; i++) {
      await store.acknowledge('acme', events[0].id, world.tick());
      await world.showsCount(t, 'acme', 3);
    }
    for (let i = 0; i < 2; i++) {
      await store.remove('acme', events[0].id);
      await world.showsCount(t, 'acme', 3);
    }
    for (let i = 0; i < 2; i++) {
      await store.remove('acme', events[1].id);
      await world.showsCount(t, 'acme', 2);
    }
    await store.acknowledge('other', events[2].id, world.tick());
    await store.remove('other', events[2].id);
    await world.showsCount(t, 'acme', 2);
    await world.showsCount(t, 'other', 1);
  });
}

function expiry(it: It): void {
  it('an event is there until its time is over, and then as if it had never been', async (t, world) => {
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

  it('a walk goes on past events that expire meanwhile', async (t, world) => {
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

function concurrency(it: It): void {
  it('500 appends at once are all there, once each, in order', async (t, world) => {
    const events = Array.from({ length: 500 }, (_, i) => world.event({ payload: `{"n":${String(i)}}` }));
    await Promise.all(events.map((event) => world.store.append(event)));
    await world.showsInbox(t, 'acme', events, { limit: 70 });
    await world.showsCount(t, 'acme', 500);
    for (const event of events) t.strictSame(await world.store.get('acme', event.id), event);
  });

  it('an append that has resolved is seen by the calls that follow at once', async (t, {
    store,
    event,
    tick,
  }) => {
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const one = event();
        await store.append(one);
        t.strictSame(await store.get('acme', one.id), one);
        const answer = await store.acknowledge('acme', one.id, tick());
        t.equal(answer.outcome, 'acknowledged');
        t.equal(await store.remove('acme', one.id), true);
        t.equal(await store.get('acme', one.id), undefined);
      }),
    );
  });
}

function closing(it: It): void {
  it('refuses calls after close, and closes twice', async (t, { store, add, event, tick }) => {
    const { id } = await add();
    await store.close();
    await store.close();
    const calls: Record<string, () => Promise<unknown>> = {
      append: () => store.append(event()),
      get: () => store.get('acme', id),
      listPending: () => store.listPending('acme', { limit: 1, after: null }),
      countPending: () => store.countPending('acme'),
      acknowledge: () => store.acknowledge('acme', id, tick()),
      remove: () => store.remove('acme', id),
      ping: () => store.ping(),
    };
    for (const [name, call] of Object.entries(calls)) {
      const error: unknown = await call().then(
        () => undefined,
        (error: unknown) => error,
      );
      t.ok(error instanceof StoreUnavailableError, name);
    }
  });

  it('what was accepted is there after close and reopen', async (t, world) => {
    if (world.reopen === undefined) return;
    const events = [await world.add(), await world.add(), await world.add(), await world.add()] as const;
    const at = world.tick();
    await world.store.acknowledge('acme', events[1].id, at);
    await world.store.remove('acme', events[2].id);
    const last = world.event();
    // Accepted, not awaited: close completes it.
    const appended = world.store.append(last);
    await world.store.close();
    await appended;
    const store = await world.reopen();
    t.strictSame(await store.get('acme', events[0].id), events[0]);
    t.strictSame(await store.get('acme', events[1].id), { ...events[1], acknowledgedAt: at });
    t.equal(await store.get('acme', events[2].id), undefined);
    t.strictSame(await store.get('acme', last.id), last);
    const { events: listed } = await store.listPending('acme', { limit: 10, after: null });
    t.strictSame(listed, [events[0], events[3], last]);
    t.strictSame(await store.countPending('acme'), { count: 3, exact: true });
  });
}

export type World = Awaited<ReturnType<typeof newWorld>>;
type Filter = Partial<Omit<PageRequest, 'after'>>;

/** A fresh store, its clock, and the ways to fill it and to look into it. */
async function newWorld(t: Test, harness: StoreHarness) {
  // Near the wall time: an engine that deletes expired records by itself goes by its own clock.
  let time = Date.now() * 1000;
  const { store, settle, attempts = 1, reopen } = await harness.open(t, { now: () => time, eventTtl: TTL });

  let made = 0;
  /** Ids of the store's own and others take turns. */
  const event = (fields: Partial<StoredEvent> = {}): StoredEvent => {
    const { tenant, createdAt, ...one } = sampleEvent(fields.createdAt ?? ++time, fields);
    const own = made++ % 2 === 0 && fields.id === undefined;
    return { ...one, tenant, createdAt, ...(own ? { id: store.newId(tenant, createdAt) } : {}) };
  };

  /** The pages of a walk from the oldest event to the end; `between` runs after each page. */
  const pages = async (
    tenant: string,
    { limit = 50, ...filter }: Filter,
    between?: (page: readonly StoredEvent[]) => Promise<void>,
  ): Promise<(readonly StoredEvent[])[]> => {
    const found: (readonly StoredEvent[])[] = [];
    let after: string | null = null;
    do {
      const page = await store.listPending(tenant, { limit, after, ...filter });
      found.push(page.events);
      await between?.(page.events);
      after = page.next;
    } while (after !== null && found.length < 10_000);
    return found;
  };

  const walk = async (...args: Parameters<typeof pages>) => (await pages(...args)).flat();

  /** Reads until the answer is the wanted one or the harness's attempts are used up; gives the last answer. */
  const reads = async <T>(read: () => Promise<T>, wanted: unknown): Promise<T> => {
    for (let attempt = 0; ; attempt++) {
      await settle?.(attempt);
      const answer = await read();
      if (attempt + 1 >= attempts || isDeepStrictEqual(answer, wanted)) return answer;
    }
  };

  return {
    store,
    reopen,
    event,
    pages,
    walk,
    reads,
    tick: (): Micros => ++time,
    advance: (by: Micros) => void (time += by),
    advanceTo: (to: Micros) => void (time = Math.max(time, to)),
    add: async (fields: Partial<StoredEvent> = {}) => {
      const one = event(fields);
      await store.append(one);
      return one;
    },
    showsInbox: async (t: Test, tenant: string, events: readonly StoredEvent[], request: Filter = {}) => {
      const listed = await reads(() => walk(tenant, request), events);
      t.strictSame(listed, events, `inbox of ${tenant}, ${JSON.stringify(request)}`);
    },
    showsCount: async (t: Test, tenant: string, count: number) => {
      const wanted = { count, exact: true };
      t.strictSame(await reads(() => store.countPending(tenant), wanted), wanted, `count of ${tenant}`);
    },
  };
}

/** JSON text of an object of exactly `bytes` bytes that compresses to nothing. */
function payloadOf(bytes: number): string {
  return `{"k":"${'x'.repeat(bytes - 8)}"}`;
}

/** JSON text of an object of exactly `bytes` bytes that hardly compresses; the same on every run. */
function noise(bytes: number): string {
  let state = 42;
  const characters = Array.from({ length: bytes - 8 }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const character = String.fromCharCode(35 + ((state >>> 16) % 92));
    return character === '\\' ? ' ' : character;
  });
  return `{"k":"${characters.join('')}"}`;
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new Error(`no item ${String(index)}`);
  return item;
}
