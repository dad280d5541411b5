import { deflateRawSync } from 'node:zlib';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, PutCommand } from '@aws-sdk/lib-dynamodb';
import t, { type Test } from 'tap';
import type { StoredEvent } from '../../src/store/event.ts';
import type { EventStore, PageRequest } from '../../src/store/event-store.ts';
import type { IndexReader } from '../../src/store/dynamodb/index-reader.ts';
import { endless } from '../support/deadline.ts';
import { startDynalite } from '../../bench/harness/dynamodb.ts';
import { DAY, newEvent, openStore, recordingLog } from '../support/dynamodb.ts';
import { startFaultyEndpoint } from '../../bench/harness/faulty-endpoint.ts';
import { noise } from '../support/noise.ts';

void t.test('a walk while two instances with clocks a minute apart write', async (t) => {
  const endpoint = await startDynalite(t);
  const tables = { events: 'events', claims: 'claims', keys: 'keys' };
  const fast = await openStore(t, endpoint, { tables });
  const slow = await openStore(t, endpoint, { tables });
  const write = async (n: number) => {
    // The slow clock dates events before those that the fast one has written already.
    const [a, b] = [newEvent(), newEvent()];
    const late = { ...b, createdAt: b.createdAt - 60e6 };
    await Promise.all([fast.append(a), slow.append(late)]);
    if (n % 10 === 0) await slow.acknowledge('acme', late.id, late.createdAt + 1);
    return n % 10 === 0 ? [a] : [a, late];
  };
  const before: StoredEvent[] = [];
  for (let n = 1; n <= 60; n++) before.push(...(await write(n)));
  before.sort((a, b) => a.createdAt - b.createdAt);

  let n = 0;
  const seen = await walk(fast, { limit: 7 }, () => write(++n));
  const ids = new Set(before.map(({ id }) => id));
  t.strictSame(
    seen.filter(({ id }) => ids.has(id)),
    before,
    'all that was there at the start, oldest first',
  );
  t.equal(new Set(seen.map(({ id }) => id)).size, seen.length, 'nothing twice');
  const times = seen.map(({ createdAt }) => createdAt);
  t.strictSame(
    times,
    [...times].sort((a, b) => a - b),
    'one order',
  );
});

void t.test(
  'while the index lags, acknowledged and removed events are not shown, and pages are full',
  async (t) => {
    const endpoint = await startDynalite(t);
    const index = freezableIndex();
    const store = await openStore(t, endpoint, { wrapIndex: index.wrap });
    const events: StoredEvent[] = [];
    for (let i = 0; i < 60; i++) events.push(newEvent());
    await Promise.all(events.map((event) => store.append(event)));
    await index.freeze('acme');
    const pending: StoredEvent[] = [];
    for (const [i, event] of events.entries()) {
      if (i % 3 === 0) await store.acknowledge('acme', event.id, event.createdAt + 1);
      else if (i % 5 === 0 || (i > 20 && i < 40)) await store.remove('acme', event.id);
      else pending.push(event);
    }
    const unseen = newEvent();
    await store.append(unseen);
    t.strictSame(await store.get('acme', unseen.id), unseen, 'reading by id is always consistent');
    for (const limit of [1, 4, 10, 200]) {
      const pages: number[] = [];
      const seen = await walk(store, { limit }, (page) => {
        pages.push(page.length);
        return Promise.resolve();
      });
      t.strictSame(seen, pending, `limit ${String(limit)}`);
      t.ok(
        pages.slice(0, -2).every((length) => length === limit),
        'what was left out is filled up',
      );
    }
    index.thaw();
    t.strictSame(await walk(store, { limit: 10 }), [...pending, unseen]);
  },
);

void t.test(
  'raising the shards of a full table, instance by instance, hides nothing at any step',
  async (t) => {
    const endpoint = await startDynalite(t);
    const tables = { events: 'events', claims: 'claims', keys: 'keys' };
    const open = ([shards, readShards]: readonly [number, number]) =>
      openStore(t, endpoint, { tables, shards, readShards });
    const all: StoredEvent[] = [];
    const write = async (store: EventStore) => {
      const more = Array.from({ length: 40 }, () => newEvent());
      await Promise.all(more.map((event) => store.append(event)));
      all.push(...more);
    };
    // Two instances, replaced one after the other: first all of them read more shards, then they write more.
    for (const [first, second] of [
      [
        [2, 2],
        [2, 2],
      ],
      [
        [2, 7],
        [2, 2],
      ],
      [
        [2, 7],
        [2, 7],
      ],
      [
        [7, 7],
        [2, 7],
      ],
      [
        [7, 7],
        [7, 7],
      ],
    ] as const) {
      const stores = [await open(first), await open(second)];
      for (const store of stores) await write(store);
      for (const store of stores) {
        t.strictSame(await walk(store, { limit: 33 }), all, `${String(first)} beside ${String(second)}`);
      }
    }
    const [oldest] = all;
    const page = await (await open([2, 7])).listPending('acme', { limit: 10, after: null });
    t.strictSame(page.events[0], oldest);
    const rest = await (await open([7, 7])).listPending('acme', { limit: 200, after: page.next });
    t.strictSame(rest.events, all.slice(10, 210), 'a position fits any number of shards');
  },
);

void t.test('a page of large events reads no more than it shows', async (t) => {
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  const store = await openStore(t, proxy.endpoint);
  const events = Array.from({ length: 24 }, (_, i) => newEvent({ payload: noise(409_600, i) }));
  for (const event of events) await store.append(event);
  let keys = 0;
  proxy.fault = (operation, body) => {
    if (operation === 'BatchGetItem') keys += body.split('"event_id"').length - 1;
    return undefined;
  };
  const first = await store.listPending('acme', { limit: 100, after: null });
  t.strictSame(first.events, events.slice(0, 11));
  // dynalite answers a megabyte at a time, and the rest must be requested again: 11 + 8 + 5 + 2 keys.
  t.ok(keys <= 40, `${String(keys)} keys`);
  const second = await store.listPending('acme', { limit: 100, after: first.next });
  const third = await store.listPending('acme', { limit: 100, after: second.next });
  t.strictSame([...second.events, ...third.events], events.slice(11));
  t.equal(third.next, null);
});

void t.test('a damaged record is an error only for itself, and is logged', async (t) => {
  const endpoint = await startDynalite(t);
  const tables = { events: 'events', claims: 'claims', keys: 'keys' };
  const log = recordingLog();
  const store = await openStore(t, endpoint, { tables, log });
  const raw = rawClient(t, endpoint);
  const good = [newEvent(), newEvent(), newEvent({ payload: noise(10_000, 1) })] as const;
  await store.append(good[0]);
  const damages: Record<string, Record<string, unknown>> = {
    'no payload': { payload: undefined },
    'another payload': { payload: '{"order":12}' },
    'a payload that is no deflate': { payload: Buffer.from('hello, hello'), payload_encoding: 'deflate' },
    'a payload in an unknown encoding': { payload: Buffer.from('hello, hello'), payload_encoding: 'gzip' },
    'a payload that is longer than it should be': {
      payload: deflateRawSync('{"k":"longer"}'),
      payload_encoding: 'deflate',
    },
    'a payload of another type': { payload: { order: 1 } },
    'no size': { payload_bytes: undefined },
    'no type': { event_type: undefined },
    'a source that is a number': { source: 5 },
    'a time that is text': { created_at: 'yesterday' },
    'an unknown status': { status: 'lost' },
    'no tenant': { tenant: undefined },
    'metadata as a map': { metadata: {} },
  };
  const damaged = new Map<string, string>();
  for (const [name, fields] of Object.entries(damages)) {
    const { id, createdAt } = newEvent();
    damaged.set(name, id);
    const item = {
      event_id: id,
      tenant: 'acme',
      status: 'pending',
      event_type: 'order.created',
      payload: '{"order":1}',
      payload_bytes: 11,
      created_at: createdAt,
      inbox_shard: 'acme#1',
      inbox_position: `${String(createdAt)}#${id}`,
      ...fields,
    };
    await raw.send(new PutCommand({ TableName: 'events', Item: item }));
  }
  await store.append(good[1]);
  await store.append(good[2]);

  for (const [name, id] of damaged) {
    await t.rejects(store.get('acme', id), { name: 'CorruptEventError' }, `get: ${name}`);
    t.equal(log.errors.length, 0);
  }
  for (const limit of [1, 2, 100]) t.strictSame(await walk(store, { limit }), good, `limit ${String(limit)}`);
  // The record without a tenant belongs to nobody.
  const logged = new Set(log.errors.map(({ fields }) => (fields as { event_id: string }).event_id));
  t.same([...logged].sort(), [...damaged].flatMap(([name, id]) => (name === 'no tenant' ? [] : [id])).sort());
  for (const name of ['an unknown status', 'no tenant']) {
    const id = damaged.get(name) ?? '';
    await t.rejects(store.acknowledge('acme', id, 5), { name: 'CorruptEventError' }, `acknowledge: ${name}`);
  }
  for (const name of ['no payload', 'a payload that is no deflate', 'no type']) {
    const id = damaged.get(name) ?? '';
    for (const outcome of ['acknowledged', 'already']) {
      const answer = await store.acknowledge('acme', id, outcome === 'already' ? 6 : 5);
      t.strictSame(answer, { outcome, acknowledgedAt: 5 }, `it can be acknowledged: ${name}`);
    }
  }
  t.equal(await store.remove('acme', damaged.get('no payload') ?? ''), true, 'it can be removed');
});

void t.test('a count is up to 10 s old, and callers at the same moment share it', async (t) => {
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  let clockMs = 0;
  const store = await openStore(t, proxy.endpoint, { clockMs: () => clockMs });
  await store.append(newEvent());
  const count = async () => (await store.countPending('acme')).count;
  t.strictSame(await Promise.all([count(), count(), count()]), [1, 1, 1]);
  t.equal(proxy.counts.get('Query'), 4, 'one for each shard');
  await store.append(newEvent());
  clockMs += 9_999;
  t.equal(await count(), 1);
  t.equal((await store.countPending('other')).count, 0);
  clockMs += 1;
  t.equal(await count(), 2);

  await t.test('a count that failed is not kept', async (t) => {
    clockMs += 10_000;
    const type = 'UnrecognizedClientException';
    proxy.fault = () => ({ kind: 'error', status: 400, type });
    await t.rejects(count(), { name: 'StoreUnavailableError' });
    proxy.fault = () => undefined;
    t.equal(await count(), 2);
  });
});

void t.test('a position that this store does not give out is refused', async (t) => {
  const store = await openStore(t, await startDynalite(t));
  const event = newEvent();
  await store.append(event);
  const place = `${'1'.repeat(16)}#x`;
  const ends = [
    '!',
    '!0',
    '!x',
    `!${place} `,
    `!${place}!${place}`,
    `!${'1'.repeat(16)}#${'x'.repeat(2_000)}`,
  ];
  for (const after of [
    ...['', '0', 'x', 'acme#1', `${'1'.repeat(16)}#${'x'.repeat(2_000)}`, '\u20ac'],
    ...ends.map((end) => place + end),
  ]) {
    await t.rejects(store.listPending('acme', { limit: 1, after }), { name: 'InvalidPositionError' }, after);
  }
  const made = await store.listPending('acme', { limit: 1, after: `${'1'.repeat(16)}#x` });
  t.strictSame(made.events, [event], 'made up, but a place in the inbox');
  for (const [end, events] of [
    ['1'.repeat(16), []],
    ['0'.repeat(16), []],
    [place, []],
    [`${place}"`, []],
    ['9'.repeat(16), [event]],
  ] as const) {
    const page = await store.listPending('acme', { limit: 1, after: `${place}!${end}` });
    t.strictSame(page, { events, next: null }, `a made-up end, ${end}`);
  }
});

void t.test(
  'a position of the previous version, which has no end, continues to the current end',
  async (t) => {
    const store = await openStore(t, await startDynalite(t));
    const events = Array.from({ length: 12 }, () => newEvent());
    for (const event of events) await store.append(event);
    const [, , third, fourth] = events as [StoredEvent, StoredEvent, StoredEvent, StoredEvent];
    const before = `${String(third.createdAt)}#${third.id}`;
    const page = await store.listPending('acme', { limit: 4, after: before });
    t.strictSame(page.events, events.slice(3, 7));
    await store.append(newEvent());
    t.strictSame(await walk(store, { limit: 2 }, undefined, page.next), events.slice(7));

    const { next } = await store.listPending('acme', { limit: 3, after: null });
    const [place] = String(next).split('!');
    t.equal(place, before, 'what it goes by');
    t.match(next, /^\d{16}(?:#[ -~]{1,100})?$/, 'which the version before takes');
    t.ok(String(next) < `${String(fourth.createdAt)}#`, 'for the same place');
  },
);

void t.test('a walk does not read what comes after its end', async (t) => {
  const { wrapIndex, read } = countedIndex();
  const store = await openStore(t, await startDynalite(t), { wrapIndex });
  const add = async (events: number) => {
    const added = Array.from({ length: events }, () => newEvent());
    for (const event of added) await store.append(event);
    return added;
  };
  const before = await add(30);
  const first = await store.listPending('acme', { limit: 10, after: null });
  await add(60);
  read.entries = 0;
  t.strictSame(await walk(store, { limit: 100 }, undefined, first.next), before.slice(10));
  t.equal(read.entries, 20);
});

void t.test(
  'an event that a faster clock has dated ahead is on a first page at once, and in later walks at its time',
  async (t) => {
    let now = Date.now() * 1000;
    const store = await openStore(t, await startDynalite(t), { now: () => now });
    const events = Array.from({ length: 6 }, (_, i) => newEvent({ createdAt: now - 10 + i }));
    const ahead = newEvent({ createdAt: now + 2e6 });
    for (const event of [...events, ahead]) await store.append(event);
    const { events: page, next } = await store.listPending('acme', { limit: 100, after: null });
    t.strictSame([page, next], [[...events, ahead], null]);
    t.strictSame(await walk(store, { limit: 2 }), events);
    now += 3e6;
    t.strictSame(await walk(store, { limit: 2 }), [...events, ahead]);
  },
);

void t.test('a first page that reaches beyond the end of its walk says that there is more', async (t) => {
  const now = Date.now() * 1000;
  const store = await openStore(t, await startDynalite(t), { now: () => now });
  const ahead = Array.from({ length: 3 }, (_, i) => newEvent({ createdAt: now + 2e6 + i }));
  for (const event of ahead) await store.append(event);
  const { events, next } = await store.listPending('acme', { limit: 2, after: null });
  t.strictSame(events, ahead.slice(0, 2));
  t.ok(next);
  t.strictSame(await store.listPending('acme', { limit: 2, after: next }), { events: [], next: null });
});

void t.test('expired events are not even read from the index', async (t) => {
  const endpoint = await startDynalite(t);
  let now = Date.now() * 1000;
  const { wrapIndex, read } = countedIndex();
  const store = await openStore(t, endpoint, { now: () => now, eventTtl: DAY, wrapIndex });
  for (let i = 0; i < 20; i++) await store.append(newEvent());
  now += 2 * DAY;
  const young = newEvent({ createdAt: now });
  await store.append(young);
  t.strictSame(await walk(store, { limit: 10 }), [young]);
  t.equal(read.entries, 1);
});

/** Counts the entries that are read from the index. */
function countedIndex() {
  const read = { entries: 0 };
  const wrapIndex = (reader: IndexReader): IndexReader => ({
    ...reader,
    async query(...request) {
      const page = await reader.query(...request);
      read.entries += page.scanned;
      return page;
    },
  });
  return { wrapIndex, read };
}

async function walk(
  store: EventStore,
  request: Omit<PageRequest, 'after'>,
  between?: (page: readonly StoredEvent[]) => Promise<unknown>,
  from: string | null = null,
): Promise<StoredEvent[]> {
  const seen: StoredEvent[] = [];
  let after = from;
  do {
    const page = await store.listPending('acme', { ...request, after });
    seen.push(...page.events);
    await between?.(page.events);
    after = page.next;
  } while (after !== null);
  return seen;
}

/** An index that, once frozen, goes on showing a tenant's events as they were then. */
function freezableIndex() {
  let real: IndexReader | undefined;
  let frozen: ReadonlyMap<string, Awaited<ReturnType<IndexReader['query']>>['entries']> | undefined;
  return {
    wrap: (reader: IndexReader): IndexReader => {
      real = reader;
      return {
        ...reader,
        query(shard, span, limit, filter, deadline) {
          const { after, to } = span;
          const entries = frozen
            ?.get(shard)
            ?.filter(({ position }) => position > after && (to === null || position <= to));
          if (entries === undefined) return reader.query(shard, span, limit, filter, deadline);
          const page = entries.slice(0, limit);
          const readTo = page.length < entries.length ? (page.at(-1)?.position ?? null) : null;
          return Promise.resolve({ entries: page, readTo, scanned: page.length });
        },
      };
    },
    async freeze(tenant: string) {
      const shards = [0, 1, 2, 3].map((shard) => `${tenant}#${String(shard)}`);
      const pages = await Promise.all(
        shards.map(async (shard) => real?.query(shard, { after: '0', to: null }, 1_000, {}, endless())),
      );
      frozen = new Map(shards.map((shard, i) => [shard, pages[i]?.entries ?? []]));
    },
    thaw() {
      frozen = undefined;
    },
  };
}

function rawClient(t: Test, endpoint: string): DynamoDBDocumentClient {
  const client = new DynamoDBClient({ endpoint, region: 'us-east-1' });
  t.teardown(() => {
    client.destroy();
  });
  return DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } });
}
