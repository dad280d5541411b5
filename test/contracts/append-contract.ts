import { randomUUID } from 'node:crypto';
import type { StoredEvent } from '../../src/store/event.ts';
import { StoreUnavailableError } from '../../src/store/store-errors.ts';
import { MAX_PAYLOAD, randomAscii, payloadOf } from './store-world.ts';
import type { It } from './store-world.ts';

/** What was appended is read back unchanged. */
export function readingBack(it: It): void {
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
    'a payload of 409,600 random bytes of ASCII': { payload: randomAscii(MAX_PAYLOAD) },
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

  it('an id without an event is missing', async (t, { store, add, tick }) => {
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

/** Many appends at once. */
export function concurrency(it: It): void {
  it('500 appends at once are all stored, once each, in order', async (t, world) => {
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

/** What close refuses, and what it completes. */
export function closing(it: It): void {
  it('close refuses later calls, and can be called twice', async (t, { store, add, event, tick }) => {
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

  it('accepted events are there after close and reopen', async (t, world) => {
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
