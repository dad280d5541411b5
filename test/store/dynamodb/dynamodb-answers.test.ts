import t, { type Test } from 'tap';
import type { ApiKey } from '../../../src/store/key-store.ts';
import { cacheCounts } from '../../../src/store/dynamodb/count-cache.ts';
import { eventually, startDynalite } from '../../../bench/harness/dynamodb.ts';
import { newEvent, openStore } from '../../support/dynamodb.ts';
import { startFaultyEndpoint } from '../../../bench/harness/faulty-endpoint.ts';
import { noise } from '../../support/noise.ts';

void t.test('acknowledging an event does not transfer its payload, nor does a refusal', async (t) => {
  const { store, proxy } = await setUp(t);
  const event = newEvent({ payload: noise(400_000, 1) });
  await store.append(event);
  const bytes: number[] = [];
  const edit = (answer: string) => {
    bytes.push(answer.length);
    return answer;
  };
  proxy.fault = () => ({ kind: 'edited', edit });
  t.match(await store.acknowledge('acme', event.id, 7), { outcome: 'acknowledged' });
  t.match(await store.acknowledge('acme', event.id, 8), { outcome: 'already' });
  t.match(await store.acknowledge('other', event.id, 9), { outcome: 'missing' });
  t.equal(bytes.length, 5, 'an update each, and dynalite has to be asked why it failed');
  t.ok(Math.max(...bytes) < 1_000, `${String(Math.max(...bytes))} bytes`);
});

void t.test('answers to batches may name the table differently from the request', async (t) => {
  const { store, proxy } = await setUp(t);
  const arn = (answer: string) =>
    answer.replaceAll(/"((?:events|keys)-[^"]*)":/g, '"arn:aws:dynamodb:us-east-1:000000000000:table/$1":');
  let partial = 1;
  proxy.fault = (operation) =>
    operation === 'BatchWriteItem' && partial-- > 0
      ? { kind: 'partial', taken: 2, edit: arn }
      : { kind: 'edited', edit: arn };
  const events = Array.from({ length: 5 }, () => newEvent());
  await Promise.all(events.map((event) => store.append(event)));
  t.strictSame((await store.listPending('acme', { limit: 10, after: null })).events, events);

  const key: ApiKey = {
    keyId: 'k1',
    hash: 'h',
    name: 'n',
    tenant: 'acme',
    status: 'active',
    rateLimit: 1,
    createdAt: 5,
    lastUsedAt: null,
  };
  await store.keys.create(key);
  t.strictSame(await store.keys.getMany(['k1', 'k2']), [key]);
});

void t.test('a clock that is set back does not keep a count longer', async (t) => {
  let counts = 0;
  const count = cacheCounts(() => Promise.resolve({ count: ++counts, exact: true }));
  t.equal((await count('acme')).count, 1);
  const [wall, monotonic] = [Date.now(), performance.now()];
  t.intercept(Date, 'now', { value: () => wall - 3_600_000 });
  t.intercept(performance, 'now', { value: () => monotonic + 10_000 });
  t.equal((await count('acme')).count, 2);
});

async function setUp(t: Test) {
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  const store = await openStore(t, proxy.endpoint);
  await eventually(() => store.ping());
  return { proxy, store };
}
