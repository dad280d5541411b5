import t from 'tap';
import { sampleEvent } from '../../bench/harness/event.ts';
import { createClock } from '../../src/events/clock.ts';
import { giveBack, leaseEvents, settleLeases, type LeaseAction } from '../../src/events/leases.ts';
import type { Micros } from '../../src/store/event.ts';
import { MemoryLeaseStore } from '../support/memory-lease-store.ts';

const TENANT = 'acme';
const MINUTE: Micros = 60e6;
const TTL: Micros = 3600e6;

/** A store with so many events, and what the domain needs beside it. */
async function setUp(count: number) {
  const time = { ms: 1_767_225_600_000 };
  const clock = createClock({ time: { wallMs: () => time.ms, monotonicMs: () => time.ms } });
  const inbox = { rows: new Map(), eventTtl: TTL, maxAttempts: 3, fails: () => undefined };
  const store = new MemoryLeaseStore(inbox, () => time.ms * 1000);
  const events = Array.from({ length: count }, () => sampleEvent(clock.tick(), { tenant: TENANT }));
  await store.appendMany(
    TENANT,
    events.map((event) => ({ event })),
  );
  const services = { store, clock, eventTtl: TTL };
  const lease = (actions: readonly LeaseAction[] = [], idempotencyKey?: string) =>
    leaseEvents(services, TENANT, { limit: 1, leaseFor: MINUTE, actions, idempotencyKey });
  return { time, store, events, services, lease };
}

void t.test('a token from a lease call settles that lease, for its tenant alone', async (t) => {
  const { services, events, lease } = await setUp(2);
  const { handedOut, results } = await lease();
  const [held] = handedOut;
  t.strictSame(results, []);
  t.match(held, { event: events[0], lease: { attempt: 1, lastReason: null } });
  const ack = { action: 'ack', token: held?.token ?? '' } as const;
  t.match(await settleLeases(services, 'globex', [ack]), [{ outcome: 'lease_malformed', eventId: null }]);
  t.match(await settleLeases(services, TENANT, [ack]), [
    { action: 'ack', outcome: 'acknowledged', eventId: events[0]?.id },
  ]);
  t.strictSame(await settleLeases(services, TENANT, []), []);
});

void t.test('results come in the order of the actions, whatever the store is asked', async (t) => {
  const { services, events, lease } = await setUp(4);
  const held = [];
  for (let n = 0; n < 4; n++) held.push(...(await lease()).handedOut);
  const [a = '', b = '', c = '', d = ''] = held.map(({ token }) => token);
  const results = await settleLeases(services, TENANT, [
    { action: 'extend', token: a, leaseFor: 2 * MINUTE },
    { action: 'ack', token: 'no token' },
    { action: 'reject', token: b, reason: 'why' },
    { action: 'release', token: c, delay: 0, failed: true, reason: null },
    { action: 'ack', token: d },
  ]);
  t.strictSame(
    results.map(({ action, outcome, eventId }) => [action, outcome, eventId]),
    [
      ['extend', 'extended', events[0]?.id],
      ['ack', 'lease_malformed', null],
      ['reject', 'quarantined', events[1]?.id],
      ['release', 'released', events[2]?.id],
      ['ack', 'acknowledged', events[3]?.id],
    ],
  );
  t.match(results[0], { at: services.clock.now() + 2 * MINUTE });
});

void t.test('a lease call settles first, and repeats what its key has leased', async (t) => {
  const { events, lease } = await setUp(2);
  const first = await lease([], 'call');
  t.strictSame((await lease([], 'call')).handedOut, first.handedOut);
  const next = await lease([{ action: 'ack', token: first.handedOut[0]?.token ?? '' }], 'other call');
  t.match(next.results, [{ outcome: 'acknowledged' }]);
  t.equal(next.handedOut[0]?.event.id, events[1]?.id);
});

void t.test('a missing event was deleted, or has expired', async (t) => {
  const { services, store, events, time, lease } = await setUp(2);
  const tokens = [(await lease()).handedOut[0]?.token ?? '', (await lease()).handedOut[0]?.token ?? ''];
  const acks = tokens.map((token) => ({ action: 'ack', token }) as const);
  await store.remove(TENANT, events[0]?.id ?? '');
  t.match(await settleLeases(services, TENANT, acks.slice(0, 1)), [{ outcome: 'lease_lost' }]);
  time.ms += TTL / 1000 + 1;
  t.match(await settleLeases(services, TENANT, acks.slice(1)), [{ outcome: 'not_found' }]);
});

void t.test('what is given back counts as no attempt', async (t) => {
  const { store, events, lease } = await setUp(1);
  const { handedOut } = await lease();
  await giveBack(store, TENANT, handedOut);
  await giveBack(store, TENANT, []);
  t.match((await lease()).handedOut, [{ event: events[0], lease: { attempt: 1 } }]);
});
