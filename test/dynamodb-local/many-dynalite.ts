import { createHash } from 'node:crypto';
import t, { type Test } from 'tap';
import { freshTables, startDynalite } from '../../bench/harness/dynamodb.ts';
import { startFaultyEndpoint, type Fault } from '../../bench/harness/faulty-endpoint.ts';
import type { DynamoStoreOptions } from '../../src/store/dynamodb/dynamo-store.ts';
import type { Append, Failed } from '../../src/store/event-store.ts';
import type { StoredEvent } from '../../src/store/event.ts';
import { StoreOverloadedError, StoreUnavailableError } from '../../src/store/store-errors.ts';
import { newEvent, openStore, PATIENT_MS } from '../support/dynamodb.ts';

/** A budget that a test can wait for. */
const SHORT_MS = 600;

const THROTTLED: Fault = {
  kind: 'error',
  status: 400,
  type: 'com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException',
};

void t.test('a list goes out in full batches, and one shard keeps its order', async (t) => {
  const { store, proxy } = await setUp(t, { shards: 1, readShards: 1 });
  const events = newEvents(400);
  proxy.counts.clear();
  t.strictSame(summary(await store.appendMany('acme', plain(events))), { stored: 400 });
  t.strictSame([...proxy.counts], [['BatchWriteItem', 16]], '25 in each');
  t.strictSame((await store.listPending('acme', { limit: 400, after: null })).events, events);
});

void t.test('lists beyond what the queue takes of their tenant wait for room', async (t) => {
  const { store } = await setUp(t);
  const lists = Array.from({ length: 9 }, () => newEvents(500));
  const results = await Promise.all(lists.map((events) => store.appendMany('acme', plain(events))));
  t.strictSame(summary(results.flat()), { stored: 4_500 });
});

void t.test('large payloads of many lists wait for the compressor in their lists', async (t) => {
  const { store } = await setUp(t);
  const payload = `{"k":"${'x'.repeat(400_000)}"}`;
  const lists = Array.from({ length: 10 }, () => Array.from({ length: 10 }, () => newEvent({ payload })));
  const results = await Promise.all(lists.map((events) => store.appendMany('acme', plain(events))));
  t.strictSame(summary(results.flat()), { stored: 100 }, 'the compressor takes 32 MiB of one tenant');
});

void t.test('batches that are throttled, in part or whole, and answers that are lost', async (t) => {
  const { store, proxy } = await setUp(t);
  let batches = 0;
  proxy.fault = (operation) => {
    if (operation !== 'BatchWriteItem') return undefined;
    batches += 1;
    if (batches === 1) return { kind: 'partial', taken: 10 };
    if (batches === 2) return { kind: 'lost answer' };
    return batches === 3 ? THROTTLED : undefined;
  };
  const events = newEvents(100);
  t.strictSame(summary(await store.appendMany('acme', plain(events))), { stored: 100 });
  t.strictSame((await store.listPending('acme', { limit: 100, after: null })).events, events);
});

void t.test('the first of two events with one claim has it, even if its claim is put later', async (t) => {
  const { store, proxy } = await setUp(t);
  const events = newEvents(3);
  let throttled = 0;
  proxy.fault = (operation, body) =>
    operation === 'PutItem' && body.includes(String(events[0]?.id)) && throttled++ < 2
      ? THROTTLED
      : undefined;
  const results = await store.appendMany(
    'acme',
    events.map((event) => claimed(event, 'one')),
  );
  const { id, createdAt } = events[0] ?? newEvent();
  const duplicate = { outcome: 'duplicate', id, createdAt };
  t.strictSame(results, [{ outcome: 'stored' }, duplicate, duplicate]);
  t.strictSame((await store.listPending('acme', { limit: 9, after: null })).events, events.slice(0, 1));
});

void t.test('when the first of two events with one claim fails, the second is not tried', async (t) => {
  const { store, proxy, patient } = await setUp(t, { callBudgetMs: SHORT_MS });
  const [first, second, third] = newEvents(3) as [StoredEvent, StoredEvent, StoredEvent];
  proxy.fault = (operation, body) =>
    operation === 'PutItem' && body.includes(first.id) ? { kind: 'hang' } : undefined;
  const list = [claimed(first, 'one'), claimed(second, 'one'), claimed(third, 'other')];
  const results = await store.appendMany('acme', list);
  t.ok((results[0] as Failed).error instanceof StoreUnavailableError);
  t.ok((results[1] as Failed).error instanceof StoreOverloadedError);
  t.strictSame(results[2], { outcome: 'stored' });
  proxy.fault = () => undefined;
  const again = await patient.appendMany('acme', list);
  t.strictSame(again, [
    { outcome: 'stored' },
    { outcome: 'duplicate', id: first.id, createdAt: first.createdAt },
    { outcome: 'stored' },
  ]);
});

void t.test('while nothing is answered, a call ends in time and says what was not sent', async (t) => {
  const { store, proxy, patient } = await setUp(t, { callBudgetMs: SHORT_MS });
  const events = newEvents(200);
  await patient.appendMany('acme', plain(events));
  proxy.fault = () => ({ kind: 'hang' });
  const ids = events.map(({ id }) => id);
  const list = [...plain(newEvents(450)), ...newEvents(90).map((event) => claimed(event))];
  const started = performance.now();
  const [acknowledged, appended] = await Promise.all([
    store.acknowledgeMany('acme', ids, Date.now() * 1000),
    store.appendMany('acme', list),
  ]);
  t.ok(performance.now() - started < SHORT_MS + 1_500, 'within the time of one call');
  proxy.fault = () => undefined;
  t.strictSame(Object.keys(summary(acknowledged)).sort(), ['StoreOverloadedError', 'StoreUnavailableError']);
  t.ok(appended.every(({ outcome }) => outcome === 'failed'));
  const refused = ids.filter((_, index) => isRefused(acknowledged[index]));
  const later = await patient.acknowledgeMany('acme', refused, 7);
  t.strictSame(summary(later), { acknowledged: refused.length }, 'it was not carried out later either');
  for (const { event } of list.filter((_, index) => isRefused(appended[index]))) {
    t.equal(await patient.get('acme', event.id), undefined);
  }
});

void t.test('a call of which everything is throttled is refused as a whole', async (t) => {
  const { store, proxy } = await setUp(t);
  // So many that the budget of retries is used up long before the deadline, at which nobody would know what became of the last tries.
  const ids = newEvents(100).map(({ id }) => id);
  proxy.fault = () => THROTTLED;
  await t.rejects(store.acknowledgeMany('acme', ids, 7), StoreOverloadedError);
  await t.rejects(
    store.appendMany(
      'acme',
      newEvents(100).map((event) => claimed(event)),
    ),
    StoreOverloadedError,
  );
});

void t.test('acknowledgements of which some are throttled, and some answers are lost', async (t) => {
  const { store, proxy } = await setUp(t);
  const events = newEvents(100);
  await store.appendMany('acme', plain(events));
  let updates = 0;
  proxy.fault = (operation) => {
    if (operation !== 'UpdateItem') return undefined;
    updates += 1;
    if (updates % 10 === 0) return THROTTLED;
    return updates % 10 === 1 ? { kind: 'lost answer' } : undefined;
  };
  const ids = events.map(({ id }) => id);
  t.strictSame(summary(await store.acknowledgeMany('acme', ids, 7)), { acknowledged: 100 });
  proxy.fault = () => undefined;
  t.strictSame(summary(await store.acknowledgeMany('acme', ids, 8)), { already: 100 });
});

/** `patient` has the same tables, sees no faults, and has time. */
async function setUp(t: Test, options: Partial<DynamoStoreOptions> = {}) {
  const endpoint = await startDynalite(t);
  const proxy = await startFaultyEndpoint(t, endpoint);
  const common = { tables: freshTables(), callBudgetMs: PATIENT_MS };
  const patient = await openStore(t, endpoint, common);
  const store = await openStore(t, proxy.endpoint, { ...common, ...options });
  return { proxy, store, patient };
}

function newEvents(count: number): StoredEvent[] {
  return Array.from({ length: count }, () => newEvent());
}

function plain(events: readonly StoredEvent[]): Append[] {
  return events.map((event) => ({ event }));
}

function claimed(event: StoredEvent, name: string = event.id): Append {
  const digest = (text: string) => createHash('sha256').update(text).digest('hex');
  const expiresAt = event.createdAt + 300 * 1e6;
  return { event, claim: { key: digest(name), fingerprint: digest(''), expiresAt } };
}

function isRefused(result: { readonly outcome: string } | undefined): boolean {
  return (result as Failed).error instanceof StoreOverloadedError;
}

/** How many have each outcome, or the name of their error. */
function summary(results: readonly ({ readonly outcome: string } | Failed)[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const result of results) {
    const name = 'error' in result ? result.error.name : result.outcome;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
