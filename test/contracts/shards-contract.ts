import { GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import type { Test } from 'tap';
import type { StoredEvent } from '../../src/store/event.ts';
import { createClient } from '../../src/store/dynamodb/client.ts';
import type { StoreLog } from '../../src/store/store-log.ts';
import type { DynamoStoreOptions } from '../../src/store/dynamodb/dynamo-store.ts';
import type { EventStore } from '../../src/store/event-store.ts';
import { eventually, freshTables, silentLog } from '../../bench/harness/dynamodb.ts';
import { newEvent, openStore, PATIENT_MS } from '../support/dynamodb.ts';
import { startFaultyEndpoint } from '../../bench/harness/faulty-endpoint.ts';

const RECORD = { event_id: 'inbox-shards' };

/** How instances on the same tables agree on the number of shards; `engine` gives an endpoint. */
export function shardsContract(t: Test, engine: Engine): void {
  agreeing(t, engine);
  recording(t, engine);
  failing(t, engine);
}

type Engine = (t: Test) => Promise<string>;

function agreeing(t: Test, engine: Engine): void {
  void t.test('an instance with fewer shards sees events of one with more', async (t) => {
    const world = await setUp(t, engine);
    const more = await world.open(8);
    const events = await world.fill(more);
    const { log, lines } = recordAll();
    const fewer = await world.open(4, { log });
    await world.sees(t, fewer, events);
    t.match(
      lines.filter(({ level }) => level === 'warn'),
      [{ fields: { written_here: 4, recorded: 8 }, message: /other instances write more inbox shards/ }],
    );
  });

  void t.test('running instances see a raise', async (t) => {
    const world = await setUp(t, engine);
    const { log, lines } = recordAll();
    const running = await world.open(4, { log });
    const before = await world.fill(running);
    const raised = await world.open(8);
    const events = [...before, ...(await world.fill(raised))];
    await world.sees(t, running, events);
    const risen = { fields: { from: 4, to: 8 }, message: /have risen/, level: 'info' };
    t.match(
      lines.filter(({ message }) => message.includes('shards')),
      [risen],
    );
  });

  void t.test('an instance with fewer shards does not lower the record', async (t) => {
    const world = await setUp(t, engine);
    const events = await world.fill(await world.open(8));
    const fewer = await world.open(2);
    events.push(...(await world.fill(fewer)));
    t.equal((await world.record())?.['shards'], 8);
    for (const shards of [2, 4]) await world.sees(t, await world.open(shards), events);
  });

  void t.test('when instances raise it at once the highest number stays', async (t) => {
    const world = await setUp(t, engine);
    // Each looks once, when it starts.
    const open = (shards: number) => world.open(shards, { shardsEveryMs: 3_600_000 });
    await open(1);
    for (const highest of [9, 20, 40]) {
      await Promise.all([3, highest, 6, highest - 1, highest, 7].map(open));
      t.strictSame(await world.record(), { ...RECORD, shards: highest });
    }
  });
}

function recording(t: Test, engine: Engine): void {
  void t.test('a number of read shards above all written ones is kept', async (t) => {
    const world = await setUp(t, engine);
    let queries = 0;
    const store = await world.open(2, {
      readShards: 7,
      wrapIndex: (reader) => ({
        ...reader,
        query: (...request) => {
          queries += 1;
          return reader.query(...request);
        },
      }),
    });
    await store.listPending('acme', { limit: 1, after: null });
    t.equal(queries, 7);
    t.equal((await world.record())?.['shards'], 2);
  });

  void t.test('nobody takes the record for an event', async (t) => {
    const world = await setUp(t, engine);
    const store = await world.open(4);
    t.equal(await store.remove('acme', RECORD.event_id), false);
    await t.rejects(store.acknowledge('acme', RECORD.event_id, 1), { name: 'CorruptEventError' });
    t.match(await store.listPending('acme', { limit: 5, after: null }), { events: [], next: null });
    t.strictSame(await world.record(), { ...RECORD, shards: 4 });
  });

  void t.test('a missing record is put back', async (t) => {
    const world = await setUp(t, engine);
    await world.open(8);
    await world.write({ ...RECORD });
    const raised = await eventually(async () => (await world.record())?.['shards'] ?? fail());
    t.equal(raised, 8);
  });

  void t.test('the command line takes no part', async (t) => {
    const world = await setUp(t, engine);
    await world.open(8, { servesEvents: false });
    t.equal(await world.record(), undefined);
  });
}

function failing(t: Test, engine: Engine): void {
  void t.test('a store is not ready before the record is right', async (t) => {
    const world = await setUp(t, engine);
    await world.open(4);
    for (const shards of ['many', 101, 2.5, -1]) {
      await world.write({ ...RECORD, shards });
      const store = await openStore(t, world.endpoint, { ...world.options, shards: 8 });
      const message = `item inbox-shards of table ${world.options.tables.events} says ${JSON.stringify(shards)} shards`;
      await t.rejects(store.append(newEvent()), { name: 'StoreUnavailableError', message });
      await world.write({ ...RECORD, shards: 4 });
      await eventually(() => store.ping());
      t.equal((await world.record())?.['shards'], 8);
    }
  });

  void t.test('nothing is written before the record has been raised', async (t) => {
    const world = await setUp(t, engine);
    await world.open(4);
    const proxy = await startFaultyEndpoint(t, world.endpoint);
    let isHeld = true;
    proxy.fault = (operation, body) =>
      isHeld && operation === 'UpdateItem' && body.includes(RECORD.event_id) ? { kind: 'reset' } : undefined;
    const store = await openStore(t, proxy.endpoint, { ...world.options, shards: 8 });
    await t.rejects(store.append(newEvent()), { name: 'StoreUnavailableError' });
    t.equal(proxy.counts.get('BatchWriteItem'), undefined);
    isHeld = false;
    await eventually(() => store.append(newEvent()));
    t.equal((await world.record())?.['shards'], 8);
  });

  void t.test('while the record cannot be read the last known number is used, and logged once', async (t) => {
    const world = await setUp(t, engine);
    const events = await world.fill(await world.open(6));
    const proxy = await startFaultyEndpoint(t, world.endpoint);
    const { log, lines } = recordAll();
    const store = await openStore(t, proxy.endpoint, { ...world.options, log });
    await world.sees(t, store, events);
    let looks = 0;
    const type = 'com.amazon.coral.service#UnrecognizedClientException';
    proxy.fault = (operation, body) => {
      if (operation !== 'GetItem' || !body.includes(RECORD.event_id)) return undefined;
      looks += 1;
      return { kind: 'error', status: 400, type };
    };
    await eventually(() => Promise.resolve(looks > 6 || fail()));
    await world.sees(t, store, events);
    const warnings = () => lines.filter(({ message }) => message.includes('cannot be read'));
    t.match(warnings(), [{ fields: { read: 6 }, level: 'warn' }]);
    proxy.fault = () => undefined;
    events.push(...(await world.fill(await world.open(9))));
    await world.sees(t, store, events);
  });

  void t.test('a closed store stops asking', async (t) => {
    const world = await setUp(t, engine);
    const proxy = await startFaultyEndpoint(t, world.endpoint);
    const store = await openStore(t, proxy.endpoint, world.options);
    const asked = () => proxy.counts.get('GetItem') ?? 0;
    await eventually(() => Promise.resolve(asked() > 5 || fail()));
    await store.close();
    const before = asked();
    const other = await world.open(9);
    // By the time that another store has looked ten times, this one would have looked as well.
    let looks = 0;
    const second = await startFaultyEndpoint(t, world.endpoint);
    second.fault = () => void (looks += 1);
    await openStore(t, second.endpoint, world.options);
    await eventually(() => Promise.resolve(looks > 15 || fail()));
    t.equal(asked(), before);
    await other.close();
  });
}

async function setUp(t: Test, engine: Engine) {
  const endpoint = await engine(t);
  let clockMs = 0;
  const options = {
    tables: freshTables(),
    callBudgetMs: PATIENT_MS,
    clockMs: () => clockMs,
    shardsEveryMs: 20,
    shards: 4,
    readShards: 1,
  };
  const client = createClient({ endpoint, region: 'us-east-1' });
  t.teardown(() => {
    client.destroy();
  });
  const TableName = options.tables.events;
  return {
    endpoint,
    options,
    async open(shards: number, more: Partial<DynamoStoreOptions> = {}) {
      const store = await openStore(t, endpoint, { ...options, shards, ...more });
      await eventually(() => store.ping());
      return store;
    },
    /** Enough events for each shard to get some. */
    async fill(store: EventStore): Promise<StoredEvent[]> {
      const events = Array.from({ length: 60 }, () => newEvent());
      await Promise.all(events.map((event) => store.append(event)));
      return events;
    },
    /** In pages and as a count. */
    async sees(t: Test, store: EventStore, events: readonly StoredEvent[]) {
      await eventually(async () => {
        clockMs += 10_000;
        const { count } = await store.countPending('acme');
        const { events: listed } = await store.listPending('acme', { limit: 1_000, after: null });
        if (count !== events.length || listed.length !== events.length) {
          throw new Error(
            `sees ${String(listed.length)} of ${String(events.length)}, counts ${String(count)}`,
          );
        }
        t.strictSame(listed, events);
      });
    },
    async record(): Promise<Readonly<Record<string, unknown>> | undefined> {
      return (await client.send(new GetCommand({ TableName, Key: RECORD, ConsistentRead: true }))).Item;
    },
    async write(Item: Record<string, unknown>) {
      await client.send(new PutCommand({ TableName, Item }));
    },
  };
}

function fail(): never {
  throw new Error('not yet');
}

function recordAll() {
  const lines: { level: string; fields: object; message: string }[] = [];
  const at = (level: string) => (fields: object, message: string) => lines.push({ level, fields, message });
  const log: StoreLog = { ...silentLog, info: at('info'), warn: at('warn'), error: at('error') };
  return { log, lines };
}
