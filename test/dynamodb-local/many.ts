import { createHash } from 'node:crypto';
import t, { type Test } from 'tap';
import { eventually } from '../../bench/harness/dynamodb.ts';
import type { Append } from '../../src/store/event-store.ts';
import type { Leased } from '../../src/store/lease-store.ts';
import { UNOBSERVED } from '../../src/store/store-observer.ts';
import { localEndpoint, newEvent, openStore, PATIENT_MS } from '../support/dynamodb.ts';

const COUNT = 500;

/** Write and read units an event, with a payload of 1,000 bytes, as docs/dynamodb.md states them. */
const UNITS = {
  'appendMany, without claims': { write: 3, read: 0 },
  'appendMany, with claims': { write: 4, read: 0 },
  acknowledgeMany: { write: 3, read: 0 },
  'appendMany, with claims, repeated': { write: 0, read: 1 },
};

void t.test('calls for many cost the units that single calls cost', async (t) => {
  const { store, spent } = await metered(t);
  const events = Array.from({ length: COUNT }, () => newEvent({ payload }));
  const claimed = Array.from({ length: COUNT }, () => withClaim());
  const ids = events.map(({ id }) => id);
  const calls: Record<keyof typeof UNITS, () => Promise<readonly { readonly outcome: string }[]>> = {
    'appendMany, without claims': () =>
      store.appendMany(
        'acme',
        events.map((event) => ({ event })),
      ),
    'appendMany, with claims': () => store.appendMany('acme', claimed),
    acknowledgeMany: () => store.acknowledgeMany('acme', ids, Date.now() * 1000),
    'appendMany, with claims, repeated': () =>
      store.appendMany(
        'acme',
        claimed.map(({ claim }) => ({ event: newEvent({ payload }), claim })),
      ),
  };
  const outcomes = { 0: 'stored', 1: 'stored', 2: 'acknowledged', 3: 'duplicate' };
  for (const [at, [name, call]] of Object.entries(calls).entries()) {
    const started = performance.now();
    const results = await call();
    t.comment(`${name}: ${((COUNT * 1000) / (performance.now() - started)).toFixed(0)} events/s`);
    t.ok(results.every(({ outcome }) => outcome === Object.values(outcomes)[at]));
    t.strictSame(spent(), UNITS[name as keyof typeof UNITS], name);
  }
});

const payload = `{"note":"${'n'.repeat(989)}"}`;

function withClaim(): Append {
  const event = newEvent({ payload });
  const digest = (text: string) => createHash('sha256').update(text).digest('hex');
  const claim = { key: digest(event.id), fingerprint: digest(''), expiresAt: event.createdAt + 300e6 };
  return { event, claim };
}

/** A store, and what it has spent since it was asked last, for each of `COUNT` events. */
async function metered(t: Test) {
  const units = { write: 0, read: 0 };
  const store = await openStore(t, localEndpoint(), {
    callBudgetMs: PATIENT_MS,
    observer: {
      ...UNOBSERVED,
      requested(request) {
        const read = ['GetItem', 'BatchGetItem', 'Query'].includes(request.operation);
        units[read ? 'read' : 'write'] += request.units;
      },
    },
  });
  await eventually(() => store.ping());
  // As docs/dynamodb.md shows them: on a busy machine a request is tried twice now and then.
  const rounded = (sum: number) => Math.round((sum / COUNT) * 10) / 10;
  const spent = () => {
    const each = { write: rounded(units.write), read: rounded(units.read) };
    units.write = 0;
    units.read = 0;
    return each;
  };
  spent();
  return { store, spent };
}

void t.test('what a lease and its end cost', async (t) => {
  const { store, spent } = await metered(t);
  const events = Array.from({ length: COUNT }, () => newEvent({ payload }));
  await store.appendMany(
    'acme',
    events.map((event) => ({ event })),
  );
  spent();
  const leased: Leased[] = [];
  while (leased.length < COUNT) {
    leased.push(...(await store.lease('acme', { limit: 100, leaseFor: 3600e6 })).leased);
  }
  const { write, read } = spent();
  t.equal(write, 3, 'a lease');
  t.equal(read, 0.1, 'read for each leased event, 100 a call');
  const at = Date.now() * 1000;
  const settled = await store.settle(
    'acme',
    leased.map(({ event, lease }) => ({ action: 'ack', eventId: event.id, leaseId: lease.id, at })),
  );
  t.ok(settled.every(({ outcome }) => outcome === 'acknowledged'));
  t.strictSame(spent(), { write: 3, read: 0 }, 'its acknowledgement');
});
