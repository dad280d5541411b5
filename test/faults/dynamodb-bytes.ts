import t, { type Test } from 'tap';
import type { StoredEvent } from '../../src/store/event.ts';
import { StoreOverloadedError } from '../../src/store/store-errors.ts';
import type { DynamoStoreOptions } from '../../src/store/dynamodb/dynamo-store.ts';
import { eventually, startDynalite } from '../../bench/harness/dynamodb.ts';
import { newEvent, openStore, PATIENT_MS } from '../support/dynamodb.ts';
import { startFaultyEndpoint } from '../../bench/harness/faulty-endpoint.ts';
import { noise } from '../support/noise.ts';

const MB = 1_000_000;

void t.test('a page ends early where its bytes end, and the walk goes on', async (t) => {
  const { store } = await setUp(t, { pageBytes: 2 * MB });
  const events = Array.from({ length: 7 }, (_, i) => newEvent({ payload: noise(400_000, i) }));
  for (const event of events) await store.append(event);
  const pages: StoredEvent[][] = [];
  for (let after: string | null = null, more = true; more;) {
    const page = await store.listPending('acme', { limit: 100, after });
    pages.push([...page.events]);
    after = page.next;
    more = after !== null;
  }
  t.strictSame(
    pages.map(({ length }) => length),
    [2, 2, 2, 1],
    'one tenant alone has half',
  );
  t.strictSame(pages.flat(), events);
});

void t.test('beside pages that hang a tenant is refused before another one is', async (t) => {
  const { store, proxy } = await setUp(t, { pageBytes: 2 * MB });
  const events = [0, 1, 2].map((seed) => newEvent({ payload: noise(400_000, seed) }));
  const other = newEvent({ tenant: 'other', payload: noise(400_000, 9) });
  for (const event of [...events, other]) await store.append(event);
  const [first] = events;
  proxy.fault = (operation, body) =>
    operation === 'BatchGetItem' && body.includes(String(first?.id)) ? { kind: 'hang' } : undefined;
  const hanging = store.listPending('acme', { limit: 100, after: null }).catch((error: unknown) => error);
  await eventually(() =>
    proxy.counts.get('BatchGetItem') === 1 ? Promise.resolve() : Promise.reject(new Error('not yet')),
  );
  await t.rejects(store.listPending('acme', { limit: 100, after: null }), StoreOverloadedError);
  t.strictSame((await store.listPending('other', { limit: 100, after: null })).events, [other]);
  t.match(await hanging, { name: 'StoreUnavailableError' });
  proxy.fault = () => undefined;
  const { events: found } = await eventually(() => store.listPending('acme', { limit: 100, after: null }));
  t.strictSame(found, events.slice(0, 2), 'its bytes are free again');
});

void t.test('bytes of claimed appends are bounded', async (t) => {
  const { store, proxy } = await setUp(t, { callBudgetMs: 6_000 });
  proxy.fault = () => ({ kind: 'hang' });
  const append = () => {
    const event = newEvent({ payload: `{"k":"${'x'.repeat(400_000)}"}` });
    const key = event.id.replaceAll('-', '').padEnd(64, '0');
    return store.append(event, { key, fingerprint: key, expiresAt: event.createdAt + 300e6 });
  };
  let refused = 0;
  const answers: Promise<unknown>[] = [];
  // Not all at once: those that wait for compression have a bound of their own.
  while (answers.length < 200) {
    for (let i = 0; i < 40; i++) {
      const answer = append().catch((error: unknown) => {
        if (error instanceof StoreOverloadedError) refused += 1;
      });
      answers.push(answer);
    }
    await eventually(() => {
      const sent = proxy.counts.get('PutItem') ?? 0;
      return sent >= answers.length - refused ? Promise.resolve() : Promise.reject(new Error('not yet'));
    });
  }
  // 32 MiB hold 83 of them.
  t.equal(refused, 117);
  proxy.fault = () => undefined;
  await Promise.all(answers);
  await append();
});

void t.test('what waited for compression beyond its deadline is not stored after its 503', async (t) => {
  const budgetMs = 500;
  const { store, proxy } = await setUp(t, { callBudgetMs: budgetMs });
  const givenUpAt = new Map<string, number>();
  let late = 0;
  proxy.fault = (_, body) => {
    for (const [id, at] of givenUpAt) if (body.includes(id) && performance.now() > at) late += 1;
    return undefined;
  };
  const outcomes = await Promise.all(
    Array.from({ length: 78 }, async (_, seed) => {
      const event = newEvent({ payload: noise(400_000, seed) });
      givenUpAt.set(event.id, performance.now() + budgetMs + 100);
      return store.append(event).then(
        () => 'stored',
        (error: unknown) => String(error),
      );
    }),
  );
  t.ok(outcomes.some((outcome) => /^StoreOverloadedError: a large payload waited too long/.test(outcome)));
  await store.close();
  t.equal(late, 0);
});

void t.test('large payloads of one tenant do not keep those of others from being compressed', async (t) => {
  const { store } = await setUp(t, { callBudgetMs: PATIENT_MS });
  const done: string[] = [];
  const append = async (tenant: string, seed: number) => {
    await store.append(newEvent({ tenant, payload: noise(400_000, seed) }));
    done.push(tenant);
  };
  const flood = Array.from({ length: 60 }, (_, seed) => append('flood', seed));
  await append('acme', 99);
  t.ok(done.length < 30, `before ${String(60 - done.length + 1)} of the flood`);
  await Promise.all(flood);
});

async function setUp(t: Test, options: Partial<DynamoStoreOptions> = {}) {
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  const store = await openStore(t, proxy.endpoint, options);
  await eventually(() => store.ping());
  proxy.counts.clear();
  return { proxy, store };
}
