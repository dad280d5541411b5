import { EMPTY_PAGE_TAG } from '../../src/store/page-tag.ts';
import type { StoredEvent } from '../../src/store/event.ts';
import { MAX_PAYLOAD, payloadOf, at } from './store-world.ts';
import type { It } from './store-world.ts';

/** Pages and positions of an inbox that does not change meanwhile. */
export function listing(it: It): void {
  it('an empty inbox has no events and no next page', async (t, { store }) => {
    const empty = { events: [], next: null, tag: EMPTY_PAGE_TAG };
    t.strictSame(await store.listPending('nobody', { limit: 50, after: null }), empty);
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

  it('a position stays valid when its event is gone', async (t, world) => {
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

/** Walks through an inbox that changes meanwhile. */
export function walking(it: It): void {
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

/** Filters by source and type. */
export function filtering(it: It): void {
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

  it('texts that would be equal when joined are kept apart', async (t, world) => {
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

  it('an empty source differs from an absent one', async (t, world) => {
    const event = await world.add({ source: null });
    await world.showsInbox(t, 'acme', [event]);
    await world.showsInbox(t, 'acme', [], { source: '' });
    await world.showsInbox(t, 'acme', [], { source: 'null' });
  });
}

/** How many bytes of payload a page holds. */
export function pageSize(it: It): void {
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

/** The number of pending events. */
export function counting(it: It): void {
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
