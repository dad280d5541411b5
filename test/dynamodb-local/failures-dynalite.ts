import { randomUUID } from 'node:crypto';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { BatchWriteCommand, DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import t, { type Test } from 'tap';
import { StoreOverloadedError, StoreUnavailableError } from '../../src/store/store-errors.ts';
import type { EventStore } from '../../src/store/event-store.ts';
import { createCompression } from '../../src/store/dynamodb/compression.ts';
import { toItem } from '../../src/store/dynamodb/event-item.ts';
import { eventually, startDynalite } from '../../bench/harness/dynamodb.ts';
import { DAY, newEvent, openStore, recordingLog } from '../support/dynamodb.ts';
import { startFaultyEndpoint, type Fault } from '../../bench/harness/faulty-endpoint.ts';

// These tests mostly wait.
t.jobs = 4;

/** The promise is 2 s; the rest is for a machine that is busy with other things. */
const SOON_MS = 3_500;

const calls: Record<string, (store: EventStore, id: string) => Promise<unknown>> = {
  append: (store) => store.append(newEvent()),
  get: (store, id) => store.get('acme', id),
  listPending: (store) => store.listPending('acme', { limit: 10, after: null }),
  countPending: (store) => store.countPending('acme'),
  acknowledge: (store, id) => store.acknowledge('acme', id, Date.now() * 1000),
  remove: (store, id) => store.remove('acme', id),
  ping: (store) => store.ping(),
};

type StoreError = typeof StoreUnavailableError | typeof StoreOverloadedError;

const faults: Record<string, { fault: Fault; error: StoreError; orElse?: StoreError }> = {
  'requests that hang': { fault: { kind: 'hang' }, error: StoreUnavailableError },
  'broken connections': { fault: { kind: 'reset' }, error: StoreUnavailableError },
  'answers that come too late': { fault: { kind: 'slow', ms: 2_500 }, error: StoreUnavailableError },
  'internal errors': {
    fault: { kind: 'error', status: 500, type: 'com.amazonaws.dynamodb.v20120810#InternalServerError' },
    error: StoreUnavailableError,
  },
  'wrong credentials': {
    fault: { kind: 'error', status: 400, type: 'com.amazon.coral.service#UnrecognizedClientException' },
    error: StoreUnavailableError,
  },
  'a table that is gone': {
    fault: {
      kind: 'error',
      status: 400,
      type: 'com.amazonaws.dynamodb.v20120810#ResourceNotFoundException',
    },
    error: StoreUnavailableError,
  },
  throttling: {
    fault: {
      kind: 'error',
      status: 400,
      type: 'com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException',
    },
    error: StoreOverloadedError,
    // When the deadline is in a try and not in a pause, nobody knows whether something was applied.
    orElse: StoreUnavailableError,
  },
};

// The longest test goes first, and the others run beside it.
void t.test('an endpoint that hangs at start does not keep the store from opening', async (t) => {
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  proxy.fault = () => ({ kind: 'hang' });
  const started = performance.now();
  const store = await openStore(t, proxy.endpoint);
  t.ok(performance.now() - started < 2 * SOON_MS);
  await rejectsWith(t, store.ping(), StoreUnavailableError, 'ping');
  proxy.fault = () => undefined;
  await eventually(() => store.ping());
});

for (const [name, { fault, error, orElse }] of Object.entries(faults)) {
  void t.test(`${name}: every call rejects in time, and works again afterwards`, async (t) => {
    const { store, proxy } = await setUp(t);
    const event = newEvent();
    await store.append(event);
    proxy.fault = () => fault;
    await Promise.all(
      Object.entries(calls).map(async ([name, call]) => {
        const started = performance.now();
        await rejectsWith(t, call(store, event.id), error, name, orElse);
        t.ok(performance.now() - started < SOON_MS, `${name} in time`);
      }),
    );
    proxy.fault = () => undefined;
    const later = newEvent();
    await store.append(later);
    t.strictSame(await store.get('acme', later.id), later);
    for (const call of Object.values(calls)) await call(store, randomUUID());
  });
}

void t.test('an endpoint that goes down and comes back', async (t) => {
  const { store, proxy } = await setUp(t);
  const event = newEvent();
  await store.append(event);
  await proxy.goDown();
  await Promise.all(
    Object.entries(calls).map(([name, call]) =>
      rejectsWith(t, call(store, event.id), StoreUnavailableError, name),
    ),
  );
  await proxy.comeBack();
  await store.ping();
  t.strictSame(await store.get('acme', event.id), event);
});

void t.test('an endpoint that is down at start: the store opens, refuses, and becomes ready', async (t) => {
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  await proxy.goDown();
  const log = recordingLog();
  const store = await openStore(t, proxy.endpoint, { log });
  for (const [name, call] of Object.entries(calls)) {
    await rejectsWith(t, call(store, randomUUID()), StoreUnavailableError, name);
  }
  t.match(log.errors[0]?.message, /not ready/);
  await proxy.comeBack();
  await eventually(() => store.ping());
  const event = newEvent();
  await store.append(event);
  t.strictSame(await store.get('acme', event.id), event);
});

void t.test('a missing table is named in the log and by ping, and found once it exists', async (t) => {
  const endpoint = await startDynalite(t);
  const tables = { events: 'events-of-mine', claims: 'claims-of-mine', keys: 'keys-of-mine' };
  const log = recordingLog();
  const store = await openStore(t, endpoint, { tables, createTables: false, log });
  const said = /table events-of-mine does not exist.*triggers-api tables create/;
  await t.rejects(store.ping(), { name: 'StoreUnavailableError', message: said });
  t.equal(log.errors.length, 1);
  t.match((log.errors[0]?.fields as { err: Error }).err.message, said);
  await rejectsWith(t, store.append(newEvent()), StoreUnavailableError, 'append');
  await openStore(t, endpoint, { tables });
  await eventually(() => store.ping());
  await store.append(newEvent());
  // While the tables are being created, the next one is missing for a moment.
  const reasons = log.errors.map(({ fields }) => (fields as { err: Error }).err.message);
  t.same(reasons, [...new Set(reasons)], 'said once, not at each try');
});

void t.test('a table of another shape is an error that says so', async (t) => {
  const endpoint = await startDynalite(t);
  const { client } = rawClient(t, endpoint);
  const { CreateTableCommand } = await import('@aws-sdk/client-dynamodb');
  await client.send(
    new CreateTableCommand({
      TableName: 'someone-elses',
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    }),
  );
  for (const createTables of [true, false]) {
    const store = await openStore(t, endpoint, {
      tables: { events: 'someone-elses', claims: 'claims', keys: 'keys' },
      createTables,
    });
    await t.rejects(store.ping(), {
      message: /table someone-elses has the key id \(HASH\) instead of event_id/,
    });
  }
});

void t.test('partial batches: every event is stored in the end, once', async (t) => {
  const { store, proxy } = await setUp(t);
  let batches = 0;
  proxy.fault = (operation) =>
    operation === 'BatchWriteItem' ? { kind: 'partial', taken: batches++ % 2 === 0 ? 0 : 15 } : undefined;
  const events = Array.from({ length: 60 }, () => newEvent());
  await Promise.all(events.map((event) => store.append(event)));
  t.equal(proxy.counts.get('PutItem'), undefined, 'none was put singly: nothing was unclear');
  t.strictSame((await store.listPending('acme', { limit: 100, after: null })).events, events);
});

void t.test('throttling that passes is only a delay', async (t) => {
  const { store, proxy } = await setUp(t);
  const type = 'com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException';
  const seen = new Map<string, number>();
  proxy.fault = (operation) => {
    seen.set(operation, (seen.get(operation) ?? 0) + 1);
    return seen.get(operation) === 1 ? { kind: 'error', status: 400, type } : undefined;
  };
  const event = newEvent();
  await store.append(event);
  t.strictSame(await store.get('acme', event.id), event);
  t.equal((await store.acknowledge('acme', event.id, 5)).outcome, 'acknowledged');
  t.equal(await store.remove('acme', event.id), true);
  t.ok([...seen.values()].every((count) => count >= 2));
});

void t.test(
  'answers lost after the batch was stored: every append resolves, each event is stored once',
  async (t) => {
    const { store, proxy } = await setUp(t);
    proxy.fault = (operation) => (operation === 'BatchWriteItem' ? { kind: 'lost answer' } : undefined);
    const events = Array.from({ length: 60 }, () => newEvent());
    await Promise.all(events.map((event) => store.append(event)));
    t.strictSame((await store.listPending('acme', { limit: 100, after: null })).events, events);
  },
);

void t.test(
  'an answer lost after the batch was stored, and an acknowledgement before the retry',
  async (t) => {
    const dynalite = await startDynalite(t);
    const proxy = await startFaultyEndpoint(t, dynalite);
    const tables = { events: 'events', claims: 'claims', keys: 'keys' };
    const consumer = await openStore(t, dynalite, { tables });
    const loseFirstAnswer = (id: string) => {
      let lost = false;
      proxy.fault = (operation) => {
        if (operation !== 'BatchWriteItem' || lost) return undefined;
        lost = true;
        return { kind: 'lost answer', before: () => consumer.acknowledge('acme', id, Date.now() * 1000) };
      };
    };
    const isPending = async (id: string) => (await consumer.get('acme', id))?.acknowledgedAt === null;

    await t.test('the plain retry of the SDK makes the event pending again', async (t) => {
      const { client, document } = rawClient(t, proxy.endpoint);
      t.ok((await client.config.maxAttempts()) > 1, 'its default');
      const event = newEvent();
      const bytes = Buffer.byteLength(event.payload);
      const payload = await createCompression().pack(event.payload, bytes, {
        tenant: 'acme',
        deadline: Infinity,
      });
      const Item = toItem(event, payload, bytes, { shards: 4, eventTtl: 7 * DAY });
      loseFirstAnswer(event.id);
      await document.send(new BatchWriteCommand({ RequestItems: { events: [{ PutRequest: { Item } }] } }));
      t.equal(await isPending(event.id), true, 'a consumer gets it a second time');
    });

    await t.test('the store leaves it acknowledged', async (t) => {
      const store = await openStore(t, proxy.endpoint, { tables });
      const event = newEvent();
      loseFirstAnswer(event.id);
      await store.append(event);
      t.equal(await isPending(event.id), false);
    });
  },
);

for (const kind of ['lost answer', 'silent'] as const) {
  void t.test(`an acknowledgement without an answer (${kind}) still belongs to its caller`, async (t) => {
    const { store, proxy } = await setUp(t);
    const event = newEvent();
    await store.append(event);
    let lost = 0;
    proxy.fault = (operation) => (operation === 'UpdateItem' && lost++ === 0 ? { kind } : undefined);
    t.strictSame(await store.acknowledge('acme', event.id, 7), {
      outcome: 'acknowledged',
      acknowledgedAt: 7,
    });
    t.equal(lost, 2);
    t.strictSame(await store.acknowledge('acme', event.id, 8), { outcome: 'already', acknowledgedAt: 7 });
    t.strictSame(await store.get('acme', event.id), { ...event, acknowledgedAt: 7 });
  });
}

void t.test('of two instances that acknowledge in the same microsecond only one succeeds', async (t) => {
  const endpoint = await startDynalite(t);
  const tables = { events: 'events', claims: 'claims', keys: 'keys' };
  const stores = [
    await openStore(t, endpoint, { tables }),
    await openStore(t, endpoint, { tables }),
  ] as const;
  const event = newEvent();
  await stores[0].append(event);
  const answers = await Promise.all(stores.map((store) => store.acknowledge('acme', event.id, 7)));
  t.strictSame(answers.map(({ outcome }) => outcome).sort(), ['acknowledged', 'already']);
});

void t.test('a removal whose answer was lost counts as a removal', async (t) => {
  const { store, proxy } = await setUp(t);
  const event = newEvent();
  await store.append(event);
  let lost = 0;
  proxy.fault = (operation) =>
    operation === 'DeleteItem' && lost++ === 0 ? { kind: 'lost answer' } : undefined;
  t.equal(await store.remove('acme', event.id), true);
  t.equal(await store.remove('acme', event.id), false);
});

void t.test('closing while the endpoint hangs ends in time, and every caller gets an answer', async (t) => {
  const { store, proxy } = await setUp(t);
  proxy.fault = () => ({ kind: 'hang' });
  const answers = Promise.allSettled(Array.from({ length: 100 }, () => store.append(newEvent())));
  const started = performance.now();
  await store.close();
  t.ok(performance.now() - started < SOON_MS);
  t.ok((await answers).every(({ status }) => status === 'rejected'));
});

/** For tests that need the processor: other tests must not take its time. */
const alone = { buffered: false };

void t.test('while requests hang, the queue is bounded: the rest is refused at once', alone, async (t) => {
  const { store, proxy } = await setUp(t);
  proxy.fault = () => ({ kind: 'hang' });
  let refused = 0;
  const count = (error: unknown) => {
    if (error instanceof StoreOverloadedError && error.message === 'too many writes are waiting')
      refused += 1;
  };
  const appends = Array.from({ length: 10_000 }, () => store.append(newEvent()).catch(count));
  let tooManyCalls = 0;
  const reads = Array.from({ length: 3_000 }, () =>
    store.get('acme', 'x').catch((error: unknown) => {
      if (error instanceof StoreOverloadedError) tooManyCalls += 1;
    }),
  );
  await new Promise((resolve) => setImmediate(resolve));
  // 4,096 wait and at most 16 x 25 are under way.
  t.ok(refused >= 10_000 - 4_096 - 400, `${String(refused)} appends refused`);
  t.equal(tooManyCalls, 2_000);
  await Promise.all([...appends, ...reads]);
  proxy.fault = () => undefined;
  // On a busy machine the requests that hung may still be in the way. A client would try again as well.
  const works = () =>
    store.append(newEvent()).then(
      () => true,
      () => false,
    );
  while (!(await works()));
});

void t.test('large payloads that wait for compression are bounded as well', alone, async (t) => {
  const { store } = await setUp(t);
  const payload = `{"k":"${'x'.repeat(400_000)}"}`;
  const outcomes = await Promise.allSettled(
    Array.from({ length: 120 }, () => store.append(newEvent({ payload }))),
  );
  const reasons = outcomes.flatMap((outcome) =>
    outcome.status === 'rejected' ? [outcome.reason as Error] : [],
  );
  t.ok(reasons.length > 0 && reasons.length < 120);
  t.ok(reasons.every((reason) => reason instanceof StoreOverloadedError));
});

async function setUp(t: Test) {
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  return { proxy, store: await openStore(t, proxy.endpoint) };
}

async function rejectsWith(
  t: Test,
  call: Promise<unknown>,
  wanted: StoreError,
  name: string,
  orElse: StoreError = wanted,
): Promise<void> {
  const outcome: unknown = await call.then(
    (value) => value,
    (error: unknown) => error,
  );
  t.ok(outcome instanceof wanted || outcome instanceof orElse, `${name}: ${String(outcome)}`);
}

function rawClient(t: Test, endpoint: string) {
  const client = new DynamoDBClient({ endpoint, region: 'us-east-1' });
  t.teardown(() => {
    client.destroy();
  });
  return { client, document: DynamoDBDocumentClient.from(client) };
}
