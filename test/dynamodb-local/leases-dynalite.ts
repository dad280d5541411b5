import t, { type Test } from 'tap';
import { eventually, startDynalite } from '../../bench/harness/dynamodb.ts';
import { startFaultyEndpoint } from '../../bench/harness/faulty-endpoint.ts';
import type { DynamoStoreOptions } from '../../src/store/dynamodb/dynamo-store.ts';
import type { Leased, Settlement } from '../../src/store/lease-store.ts';
import { StoreUnavailableError } from '../../src/store/store-errors.ts';
import { newEvent, openStore, PATIENT_MS } from '../support/dynamodb.ts';

const REQUEST = { limit: 1, leaseFor: 60e6 };

void t.test('a request whose answer is lost is asked again, and knows what it has done', async (t) => {
  const { store, proxy, leaseOne } = await setUp(t);
  let lost = 0;
  /** The first answer to an update is lost. */
  const losing = async <T>(call: () => Promise<T>): Promise<T> => {
    const before = lost;
    proxy.fault = (operation) =>
      operation === 'UpdateItem' && lost++ === before ? { kind: 'lost answer' } : undefined;
    const answer = await call();
    proxy.fault = () => undefined;
    t.ok(lost > before + 1, 'it was lost, and asked again');
    return answer;
  };
  const current = async () => (await leaseOne()).lease;
  const settle = (settlement: Settlement) => losing(() => store.settle('acme', [settlement]));

  const event = newEvent();
  await store.append(event);
  const eventId = event.id;
  const first = await losing(leaseOne);
  t.match(first, { event, lease: { attempt: 1 } });
  let leaseId = first.lease.id;
  t.match(await settle({ action: 'extend', eventId, leaseId, leaseFor: 90e6 }), [{ outcome: 'extended' }]);
  const release = { action: 'release', delay: 0, failed: false, reason: null } as const;
  t.strictSame(await settle({ ...release, eventId, leaseId }), [{ outcome: 'released' }]);
  const second = await current();
  t.equal(second.attempt, 1, 'given back once, not twice');
  leaseId = second.id;
  t.strictSame(await settle({ action: 'reject', eventId, leaseId, reason: 'odd' }), [
    { outcome: 'quarantined' },
  ]);
  t.strictSame(await losing(() => store.redrive('acme', [eventId])), [{ outcome: 'redriven' }]);
  leaseId = (await current()).id;
  t.strictSame(await settle({ action: 'ack', eventId, leaseId, at: 7 }), [
    { outcome: 'acknowledged', acknowledgedAt: 7 },
  ]);
});

void t.test('a call that fails gives back what it has leased, uncounted', async (t) => {
  const { store, proxy, leaseOne } = await setUp(t, { callBudgetMs: 900 });
  await eventually(() => store.append(newEvent()));
  proxy.fault = (operation, body) =>
    operation === 'UpdateItem' && body.includes('if_not_exists') ? { kind: 'silent' } : undefined;
  await t.rejects(store.lease('acme', REQUEST), StoreUnavailableError);
  proxy.fault = () => undefined;
  const { lease } = await leaseOne();
  t.equal(lease.attempt, 1);
});

async function setUp(t: Test, options: Partial<DynamoStoreOptions> = {}) {
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  const store = await openStore(t, proxy.endpoint, { callBudgetMs: PATIENT_MS, ...options });
  await eventually(() => store.ping());
  const leaseOne = (): Promise<Leased> =>
    eventually(async () => {
      const [one] = (await store.lease('acme', REQUEST)).leased;
      if (one === undefined) throw new Error('nothing is free');
      return one;
    });
  return { store, proxy, leaseOne };
}
