import { connect, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { GetItemCommand } from '@aws-sdk/client-dynamodb';
import t, { type Test } from 'tap';
import { createClient } from '../../src/store/dynamodb/client.ts';
import { failureOf } from '../../src/store/dynamodb/failure.ts';
import type { DynamoStoreOptions } from '../../src/store/dynamodb/dynamo-store.ts';
import { StoreUnavailableError } from '../../src/store/store-errors.ts';
import type { EventStore } from '../../src/store/event-store.ts';
import { eventually, startDynalite } from '../../bench/harness/dynamodb.ts';
import { newEvent, openStore, PATIENT_MS, recordingLog } from '../support/dynamodb.ts';
import { startFaultyEndpoint, type FaultyEndpoint, type Fault } from '../../bench/harness/faulty-endpoint.ts';

const ERROR: Fault = {
  kind: 'error',
  status: 500,
  type: 'com.amazonaws.dynamodb.v20120810#InternalServerError',
};

void t.test('a brown-out: less than one request for each event, and it works again at once', async (t) => {
  const { store, proxy } = await setUp(t);
  proxy.fault = () => ERROR;
  const waves = 10;
  for (let wave = 0; wave < waves; wave++) {
    const outcomes = await appendAtOnce(store, 400);
    t.ok(outcomes.every((outcome) => outcome instanceof StoreUnavailableError));
  }
  const perEvent = total(proxy) / (400 * waves);
  t.comment(`${perEvent.toFixed(2)} requests an event`);
  // The budget is spent in the first wave, which may take a request and a quarter for each event.
  t.ok(perEvent < 0.5, `${perEvent.toFixed(2)} requests an event`);
  proxy.fault = () => undefined;
  t.strictSame(new Set(await appendAtOnce(store, 25)), new Set(['stored']), 'first tries need no budget');
});

void t.test('an event whose batch got no answer has its second chance, a few at a time', async (t) => {
  const { store, proxy } = await setUp(t);
  proxy.fault = () => ({ kind: 'hang' });
  await appendAtOnce(store, 400);
  const singles = proxy.counts.get('PutItem') ?? 0;
  // Each hangs as long as its caller waits.
  t.ok(singles > 0 && singles <= 64, `${String(singles)} of 400 put singly`);
});

void t.test('one failure of all batches under way: every event is stored', async (t) => {
  const { store, proxy } = await setUp(t, { callBudgetMs: PATIENT_MS });
  proxy.fault = (operation) => (operation === 'BatchWriteItem' ? { kind: 'lost answer' } : undefined);
  t.strictSame(new Set(await appendAtOnce(store, 400)), new Set(['stored']));
  t.strictSame(new Set(await appendAtOnce(store, 400)), new Set(['stored']), 'the budget is there again');
});

void t.test('an endpoint that is away for a moment: batches go again as batches', async (t) => {
  const { store, proxy } = await setUp(t);
  await proxy.goDown();
  // By then the client has seen its open connection end.
  await refused(proxy.endpoint);
  const answers = appendAtOnce(store, 100);
  const early = await Promise.race([answers, refused(proxy.endpoint)]);
  t.equal(early, 'refused', 'nobody is answered yet');
  await proxy.comeBack();
  t.strictSame(new Set(await answers), new Set(['stored']));
  t.equal(proxy.counts.get('PutItem'), undefined, 'it is clear that nothing had been sent');
});

void t.test('what has no connection was not sent', async (t) => {
  const failure = async (endpoint: string) => {
    const client = createClient({ endpoint, region: 'us-east-1' });
    const request = new GetItemCommand({ TableName: 'events', Key: { event_id: { S: 'x' } } });
    const error: unknown = await client.send(request).catch((error: unknown) => error);
    client.destroy();
    return { kind: failureOf(error), text: String(error) };
  };
  t.match(await failure('http://127.0.0.1:1'), { kind: 'unsent', text: /ECONNREFUSED/ });
  t.match(await failure('http://nowhere.invalid:1'), { kind: 'unsent' });
  const deaf = await startDeafServer(t);
  t.match(await failure(deaf), { kind: 'unsent', text: /TimeoutError/ });
  const proxy = await startFaultyEndpoint(t, deaf);
  for (const kind of ['reset', 'hang'] as const) {
    proxy.fault = () => ({ kind });
    t.match(await failure(proxy.endpoint), { kind: 'unclear' }, kind);
  }
});

void t.test('keys that stay unprocessed are asked for after pauses that grow', async (t) => {
  const { store, proxy } = await setUp(t);
  await store.append(newEvent());
  const reads: Record<string, () => Promise<unknown>> = {
    'of keys': () => store.keys.getMany(['a', 'b']),
    'of a page': () => store.listPending('acme', { limit: 10, after: null }),
  };
  for (const [name, read] of Object.entries(reads)) {
    proxy.counts.clear();
    proxy.fault = (operation, body) =>
      operation === 'BatchGetItem'
        ? {
            kind: 'answer',
            body: { UnprocessedKeys: (JSON.parse(body) as { RequestItems: object }).RequestItems },
          }
        : undefined;
    await t.rejects(read(), { name: 'StoreOverloadedError' }, name);
    const asked = proxy.counts.get('BatchGetItem') ?? 0;
    // 25, 50, 100, 200 ms and then 400 each, half of that at least: in 1.8 s eleven times.
    t.ok(asked >= 4 && asked <= 12, `${name}: asked ${String(asked)} times`);
  }
});

void t.test('keys that come a few at a time all come', async (t) => {
  const { store, proxy } = await setUp(t);
  const events = Array.from({ length: 5 }, () => newEvent());
  for (const event of events) await store.append(event);
  proxy.fault = (operation, body) => {
    if (operation !== 'BatchGetItem') return undefined;
    const { RequestItems } = JSON.parse(body) as { RequestItems: Record<string, { Keys: object[] }> };
    const [[table, { Keys }] = ['', { Keys: [] }]] = Object.entries(RequestItems);
    const left = Keys.length > 1 ? { [table]: { Keys: Keys.slice(1), ConsistentRead: true } } : {};
    const edit = (answer: string) => {
      const { Responses } = JSON.parse(answer) as { Responses: Record<string, { event_id: unknown }[]> };
      const first = JSON.stringify(Keys.slice(0, 1));
      const items = (Responses[table] ?? []).filter(
        ({ event_id }) => JSON.stringify([{ event_id }]) === first,
      );
      return JSON.stringify({ Responses: { [table]: items }, UnprocessedKeys: left });
    };
    return { kind: 'edited', edit };
  };
  t.strictSame((await store.listPending('acme', { limit: 10, after: null })).events, events);
  t.equal(proxy.counts.get('BatchGetItem'), 5);
});

void t.test('a look at the record of shards is repeated too', async (t) => {
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  let failures = 1;
  proxy.fault = (operation) => (operation === 'GetItem' && failures-- > 0 ? ERROR : undefined);
  const log = recordingLog();
  const store = await openStore(t, proxy.endpoint, { log, callBudgetMs: PATIENT_MS });
  await eventually(() => store.ping());
  t.ok(failures < 0);
  t.strictSame(log.errors, [], 'one failure keeps nobody from being ready');
});

void t.test('what fails is not printed: it holds payloads', async (t) => {
  const printed: unknown[] = [];
  const { error } = console;
  t.teardown(() => (console.error = error));
  console.error = (...text: unknown[]) => printed.push(text);
  const { store, proxy } = await setUp(t);
  proxy.fault = () => ERROR;
  await store.append(newEvent({ payload: '{"secret":"xyzzy"}' })).catch(() => undefined);
  t.strictSame(printed, []);
});

async function setUp(t: Test, options: Partial<DynamoStoreOptions> = {}) {
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  const store = await openStore(t, proxy.endpoint, options);
  await eventually(() => store.ping());
  proxy.counts.clear();
  return { proxy, store };
}

/** Of each: `stored`, or the error. */
function appendAtOnce(store: EventStore, events: number): Promise<unknown[]> {
  return Promise.all(
    Array.from({ length: events }, () =>
      store.append(newEvent()).then(
        () => 'stored',
        (error: unknown) => error,
      ),
    ),
  );
}

function total({ counts }: FaultyEndpoint): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

/** Resolves when a connection has been refused twice: others of the same moment have been by then. */
async function refused(endpoint: string): Promise<'refused'> {
  const { port } = new URL(endpoint);
  for (let tries = 0; tries < 2; tries++) {
    await once(connect(Number(port), '127.0.0.1'), 'connect').catch(() => undefined);
  }
  return 'refused';
}

/** A server that accepts nothing: a connection is not refused, nor does it come about. */
async function startDeafServer(t: Test): Promise<string> {
  const code = `
    const { parentPort } = require('node:worker_threads');
    const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      parentPort.postMessage(server.address());
      setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
    });`;
  const worker = new Worker(code, { eval: true });
  const [{ port }] = (await once(worker, 'message')) as [AddressInfo];
  // What the system itself accepts for a server that does not is used up.
  const sockets = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    await worker.terminate();
  });
  return `http://127.0.0.1:${String(port)}`;
}
