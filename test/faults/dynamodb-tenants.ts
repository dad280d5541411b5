import t, { type Test } from 'tap';
import { StoreOverloadedError } from '../../src/store/store-errors.ts';
import type { DynamoStoreOptions } from '../../src/store/dynamodb/dynamo-store.ts';
import { eventually, startDynalite } from '../../bench/harness/dynamodb.ts';
import { newEvent, openStore } from '../support/dynamodb.ts';
import { startFaultyEndpoint } from '../../bench/harness/faulty-endpoint.ts';

/** DynamoDB names each item that it throttles: here all of one tenant. */
void t.test('a tenant that is throttled and floods: no write of another one is refused', async (t) => {
  const { store, proxy } = await setUp(t, { callBudgetMs: 12_000 });
  proxy.fault = (operation) =>
    operation === 'BatchWriteItem'
      ? { kind: 'unprocessed', matching: (item) => item.includes('{"S":"hot"}') }
      : undefined;
  let refused = 0;
  const flood = Array.from({ length: 5_000 }, () =>
    store.append(newEvent({ tenant: 'hot' })).catch((error: unknown) => {
      if ((error as Error).message === 'too many writes are waiting') refused += 1;
    }),
  );
  const took: number[] = [];
  await Promise.all(
    Array.from({ length: 20 }, async (_, tenant) => {
      for (let event = 0; event < 10; event++) {
        const started = performance.now();
        await store.append(newEvent({ tenant: `tenant-${String(tenant)}` }));
        took.push(performance.now() - started);
      }
    }),
  );
  await Promise.all(flood);
  took.sort((a, b) => a - b);
  const p95 = took[Math.floor(took.length * 0.95)] ?? Infinity;
  t.comment(`p95 ${p95.toFixed(0)} ms`);
  t.equal(took.length, 200);
  t.ok(p95 < 5_000, `p95 ${p95.toFixed(0)} ms`);
  t.equal(refused, 5_000 - 4_096, 'the queue was full of it');
});

void t.test('while 1,000 calls of one tenant hang, others and ping are answered', async (t) => {
  const { store, proxy } = await setUp(t);
  const [hanging, other] = [newEvent({ tenant: 'hot' }), newEvent()];
  await Promise.all([store.append(hanging), store.append(other)]);
  proxy.fault = (_, body) => (body.includes(hanging.id) ? { kind: 'hang' } : undefined);
  let over = 0;
  const calls = Array.from({ length: 1_000 }, () => store.get('hot', hanging.id).catch(() => (over += 1)));
  await eventually(() => {
    const requests = proxy.counts.get('GetItem') ?? 0;
    return requests >= 200 ? Promise.resolve() : Promise.reject(new Error('not yet'));
  });
  await t.rejects(store.get('hot', hanging.id), StoreOverloadedError, 'no more of this tenant');
  await store.ping();
  t.strictSame(await store.get('acme', other.id), other);
  await store.append(newEvent());
  const key = store.keys.get('unknown');
  t.equal(await key, undefined, 'keys are looked up');
  t.equal(over, 0, 'all this while they hang');
  t.equal(proxy.counts.get('PutItem'), undefined, 'a write that waits for others is no unclear one');
  await Promise.all(calls);
});

void t.test('all who ask for a ping at one moment share one request', async (t) => {
  const { store, proxy } = await setUp(t);
  await Promise.all(Array.from({ length: 50 }, () => store.ping()));
  t.strictSame([...proxy.counts], [['GetItem', 1]]);
  await store.ping();
  t.strictSame([...proxy.counts], [['GetItem', 2]]);
});

async function setUp(t: Test, options: Partial<DynamoStoreOptions> = {}) {
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  const store = await openStore(t, proxy.endpoint, options);
  await eventually(() => store.ping());
  proxy.counts.clear();
  return { proxy, store };
}
