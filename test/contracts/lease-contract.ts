/**
 * What leases mean on every event store: `src/store/lease-store.ts` in code. Plugged in like `store-contract.ts`; `open` passes
 * `maxAttempts` on. Time that a store takes from another clock than `now` must go on with it.
 */
import { createHash, randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import { LEASE_SKEW } from '../../src/store/lease-store.ts';
import type { LeaseStore, Leased, Settlement } from '../../src/store/lease-store.ts';
import type { EventStore } from '../../src/store/event-store.ts';
import type { Micros, StoredEvent } from '../../src/store/event.ts';
import { ends, later, MAX_ATTEMPTS, MINUTE, newLeaseWorld, of, type LeaseWorld } from './lease-world.ts';
import { at, payloadOf, TTL } from './store-world.ts';
import type { StoreHarness } from './store-world.ts';

type It = (name: string, body: (t: Test, world: LeaseWorld) => Promise<void>, maxAttempts?: number) => void;

/** Runs the suite against the harness's stores. */
export function leaseContract(t: Test, harness: StoreHarness): void {
  const sections = {
    leasing,
    sharing,
    'leases that end': ending,
    'repeated lease calls': repeating,
    acknowledging,
    releasing,
    extending,
    quarantine,
    'too many attempts': exhausting,
    redriving,
    'the rest of the port': besides,
    together,
  };
  for (const [name, section] of Object.entries(sections)) {
    void t.test(`${harness.name}: leases: ${name}`, (t) => {
      section((name, body, maxAttempts = MAX_ATTEMPTS) => {
        void t.test(name, async (t) => {
          await body(t, await newLeaseWorld(t, harness, maxAttempts));
        });
      });
      t.end();
    });
  }
}

function leasing(it: It): void {
  it('the oldest events come first, and nobody else gets them', async (t, world) => {
    const events = await world.addMany(5);
    const now = world.now();
    const first = await world.lease(2, { limit: 2 });
    t.strictSame(
      first.map(({ event }) => event),
      events.slice(0, 2),
    );
    for (const { lease } of first) {
      t.match(lease, { id: /^[0-9a-f]{32}$/, attempt: 1, lastReason: null });
      t.ok(lease.until >= now + MINUTE && lease.until <= now + MINUTE + 1e6);
    }
    t.strictSame(
      (await world.lease(3)).map(({ event }) => event),
      events.slice(2),
    );
    t.strictSame(await world.lease(0), []);
  });

  it('a leased event is still pending', async (t, world) => {
    const { store } = world;
    const events = await world.addMany(3);
    const { lease, event } = await world.leaseOne();
    t.strictSame(await store.get('acme', event.id), event);
    await world.showsInbox(t, 'acme', events);
    await world.showsCount(t, 'acme', 3);
    const leasedUntil = await world.reads(
      async () => [...((await store.listPending('acme', { limit: 9, after: null })).leasedUntil ?? [])],
      [[event.id, lease.until]],
    );
    t.strictSame(leasedUntil, [[event.id, lease.until]]);
  });

  it('an inbox without a free event gives none', async (t, world) => {
    t.strictSame(await world.store.lease('acme', { limit: 10, leaseFor: MINUTE }), {
      leased: [],
      settled: [],
    });
    await world.addMany(1);
    await world.leaseOne();
    t.strictSame(await world.lease(0), []);
  });

  it('filters are exact, and leave the other events free', async (t, world) => {
    const wanted = [];
    for (const [source, type] of [
      ['a', 'x'],
      ['b', 'x'],
      ['a', 'y'],
      ['ab', 'x'],
      ['a', 'x'],
    ] as const) {
      const event = await world.add({ source, type });
      if (source === 'a' && type === 'x') wanted.push(event);
    }
    const leased = await world.lease(2, { limit: 10, source: 'a', type: 'x' });
    t.strictSame(
      leased.map(({ event }) => event),
      wanted,
    );
    t.equal((await world.lease(1, { limit: 10, source: 'b' })).length, 1);
    t.equal((await world.lease(2, { limit: 10 })).length, 2);
  });
}

function sharing(it: It): void {
  it('a call ends with the event that brings it to 4 MiB of payload', async (t, world) => {
    for (let n = 0; n < 12; n++) await world.add({ payload: payloadOf(400_000) });
    await world.showsCount(t, 'acme', 12);
    const calls: number[] = [];
    for (let left = 12; left > 0 && calls.length < 12; left -= at(calls, calls.length - 1)) {
      calls.push((await world.lease(1, { limit: 100 })).length);
    }
    t.ok(Math.max(...calls) <= 11);
    t.equal(
      calls.reduce((sum, count) => sum + count, 0),
      12,
    );
  });

  it('tenants are kept apart', async (t, world) => {
    const mine = await world.addMany(2);
    const theirs = await world.addMany(2, { tenant: 'globex' });
    t.strictSame(
      (await world.lease(2, { limit: 10 })).map(({ event }) => event),
      mine,
    );
    const [leased] = await world.lease(1, { limit: 10 }, 'globex');
    t.strictSame(leased?.event, theirs[0]);
  });

  it('of many callers at once each event goes to one', async (t, world) => {
    const events = await world.addMany(60);
    await world.showsCount(t, 'acme', 60);
    const found: Leased[] = [];
    const consumer = async () => {
      for (let empty = 0; empty < 3 && found.length < 60;) {
        const { leased } = await world.store.lease('acme', { limit: 7, leaseFor: MINUTE });
        if (leased.length === 0) empty += 1;
        found.push(...leased);
      }
    };
    await Promise.all(Array.from({ length: 6 }, consumer));
    found.push(...(await world.lease(60 - found.length)));
    t.strictSame(new Set(found.map(({ event }) => event.id)), new Set(events.map(({ id }) => id)));
    t.equal(found.length, 60, 'each once');
  });
}

function ending(it: It): void {
  it('a lease that has run out frees its event, which is then the oldest', async (t, world) => {
    const [event] = await world.addMany(3);
    const { lease } = await world.leaseOne();
    world.advanceTo(lease.until - 1_000);
    t.not((await world.leaseOne()).event.id, event?.id, 'it still runs');
    world.advance(LEASE_SKEW + 10e6);
    const again = await world.leaseOne();
    t.equal(again.event.id, event?.id);
    t.match(again.lease, { attempt: 2, lastReason: null });
    t.not(again.lease.id, lease.id);
  });

  it('a lease does not outlive its event', async (t, world) => {
    const event = await world.add();
    world.advanceTo(event.createdAt + TTL - 20e6);
    const { lease } = await world.leaseOne();
    t.equal(lease.until, event.createdAt + TTL);
    world.advanceTo(lease.until);
    t.strictSame(await world.lease(0), []);
    const ended = await world.settleOne({ action: 'ack', ...of({ event, lease }), at: world.now() });
    t.strictSame(ended, { outcome: 'missing' });
  });

  it('leases and attempts hold after the store is opened again', async (t, world) => {
    if (world.reopen === undefined) return;
    const { store } = world;
    const [first, second, third] = await world.addMany(3);
    const leased = await world.lease(2, { limit: 2 });
    await world.settleOne({ action: 'release', ...of(at(leased, 1)), ...later(0, 'why') });
    await store.close();
    const reopened = (await world.reopen()) as EventStore & LeaseStore;
    const { leased: next } = await reopened.lease('acme', { limit: 9, leaseFor: MINUTE });
    t.strictSame(
      next.map(({ event, lease: { attempt, lastReason } }) => [event.id, attempt, lastReason]),
      [
        [second?.id, 2, 'why'],
        [third?.id, 1, null],
      ],
    );
    const ended = await reopened.settle('acme', [{ action: 'ack', ...of(at(leased, 0)), at: world.now() }]);
    t.match(ended, [{ outcome: 'acknowledged' }]);
    t.not((await reopened.get('acme', first?.id ?? ''))?.acknowledgedAt, null);
    await reopened.close();
  });
}

function repeating(it: It): void {
  const callKey = createHash('sha256').update('call').digest('hex');

  it('a repeated call gets the same leases again', async (t, world) => {
    await world.addMany(5);
    await world.showsCount(t, 'acme', 5);
    const request = { limit: 3, leaseFor: MINUTE, callKey };
    const { leased } = await world.store.lease('acme', request);
    t.equal(leased.length, 3);
    t.strictSame((await world.store.lease('acme', request)).leased, leased);
    const other = await world.lease(2, { limit: 5, callKey: callKey.replaceAll('a', 'b') });
    t.equal(other.length, 2, 'another call gets the others');
    await world.settleOne({ action: 'ack', ...of(at(leased, 1)), at: world.now() });
    t.strictSame((await world.store.lease('acme', request)).leased, [leased[0], leased[2]]);
  });

  it('when its leases have run out it is a new call', async (t, world) => {
    await world.addMany(1);
    const first = await world.leaseOne({ callKey });
    world.advance(MINUTE + LEASE_SKEW + 10e6);
    const again = await world.leaseOne({ callKey });
    t.equal(again.event.id, first.event.id);
    t.equal(again.lease.attempt, 2);
    t.not(again.lease.id, first.lease.id);
  });

  it('a call that found nothing may find something when it is repeated', async (t, world) => {
    t.strictSame(await world.lease(0, { callKey }), []);
    const event = await world.add();
    t.equal((await world.leaseOne({ callKey })).event.id, event.id);
  });

  it('the key of a call is its tenant’s own', async (t, world) => {
    const [mine] = await world.addMany(1);
    const [theirs] = await world.addMany(1, { tenant: 'globex' });
    t.equal((await world.leaseOne({ callKey })).event.id, mine?.id);
    t.equal((await world.lease(1, { callKey }, 'globex'))[0]?.event.id, theirs?.id);
  });
}

function acknowledging(it: It): void {
  it('an acknowledgement is final, and may be repeated', async (t, world) => {
    const [, other] = await world.addMany(2);
    const leased = await world.leaseOne();
    const now = world.now();
    const ack = { action: 'ack', ...of(leased), at: now } as const;
    t.strictSame(await world.settleOne(ack), { outcome: 'acknowledged', acknowledgedAt: now });
    t.strictSame(await world.settleOne({ ...ack, at: world.now() }), {
      outcome: 'acknowledged',
      acknowledgedAt: now,
    });
    t.equal((await world.store.get('acme', leased.event.id))?.acknowledgedAt, now);
    await world.showsInbox(t, 'acme', [other as StoredEvent]);
    world.advance(MINUTE + LEASE_SKEW + 10e6);
    t.strictSame(
      (await world.lease(1, { limit: 5 })).map(({ event }) => event.id),
      [other?.id],
    );
  });

  it('a late one counts as long as nobody else has leased the event', async (t, world) => {
    await world.addMany(2);
    const [first, second] = (await world.lease(2, { limit: 2 })) as [Leased, Leased];
    world.advance(MINUTE + LEASE_SKEW + 10e6);
    t.match(await world.settleOne({ action: 'ack', ...of(first), at: world.now() }), {
      outcome: 'acknowledged',
    });
    const again = await world.leaseOne();
    t.equal(again.event.id, second.event.id);
    t.strictSame(await world.settleOne({ action: 'ack', ...of(second), at: world.now() }), {
      outcome: 'lost',
    });
    t.match(await world.settleOne({ action: 'ack', ...of(again), at: world.now() }), {
      outcome: 'acknowledged',
    });
    t.strictSame(await world.settleOne({ action: 'ack', ...of(second), at: world.now() }), {
      outcome: 'lost',
    });
  });

  it('a holder learns that its event was acknowledged by id, or deleted', async (t, world) => {
    const { store } = world;
    await world.addMany(2);
    const [first, second] = (await world.lease(2, { limit: 2 })) as [Leased, Leased];
    t.match(await store.acknowledge('acme', first.event.id, world.now()), { outcome: 'acknowledged' });
    t.equal(await store.remove('acme', second.event.id), true);
    t.strictSame(await world.settleOne({ action: 'ack', ...of(first), at: world.now() }), {
      outcome: 'lost',
    });
    t.strictSame(await world.settleOne({ action: 'ack', ...of(second), at: world.now() }), {
      outcome: 'missing',
    });
    t.strictSame(await world.settleOne({ action: 'extend', ...of(first), leaseFor: MINUTE }), {
      outcome: 'lost',
    });
    await world.showsInbox(t, 'acme', []);
  });

  it('nobody settles with a lease that there is not, or for another tenant', async (t, world) => {
    const [free] = await world.addMany(1);
    const lease = { ...(await world.leaseOne()), lease: { id: 'ab'.repeat(16) } };
    for (const action of ends(lease)) t.strictSame(await world.settleOne(action), { outcome: 'lost' });
    const other = await world.add();
    for (const action of ends({ ...lease, event: other })) {
      t.strictSame(await world.settleOne(action), { outcome: 'lost' });
    }
    for (const action of ends({ ...lease, event: { id: randomUUID() } })) {
      t.strictSame(await world.settleOne(action), { outcome: 'missing' });
    }
    for (const action of ends(lease))
      t.strictSame(await world.settleOne(action, 'globex'), { outcome: 'missing' });
    await world.showsInbox(t, 'acme', [free as StoredEvent, other]);
  });
}

function releasing(it: It): void {
  it('a released event can be leased at once, with the reason, and counts', async (t, world) => {
    const [event] = await world.addMany(2);
    const leased = await world.leaseOne();
    const release = { action: 'release', ...of(leased), ...later(0, 'no network') } as const;
    t.strictSame(await world.settleOne(release), { outcome: 'released' });
    t.strictSame(await world.settleOne(release), { outcome: 'lost' }, 'only once');
    t.strictSame(await world.settleOne({ action: 'ack', ...of(leased), at: world.now() }), {
      outcome: 'lost',
    });
    const again = await world.leaseOne();
    t.equal(again.event.id, event?.id);
    t.match(again.lease, { attempt: 2, lastReason: 'no network' });
    await world.settleOne({ action: 'release', ...of(again), ...later(0, null) });
    t.match(
      (await world.leaseOne()).lease,
      { attempt: 3, lastReason: 'no network' },
      'the last reason stays',
    );
  });

  it('what is given back without having failed is not counted', async (t, world) => {
    await world.addMany(1);
    for (let n = 0; n < 2 * MAX_ATTEMPTS; n++) {
      const leased = await world.leaseOne();
      t.equal(leased.lease.attempt, 1);
      await world.settleOne({ action: 'release', ...of(leased), delay: 0, failed: false, reason: null });
    }
  });

  it('a delay keeps the event, which stays in the inbox', async (t, world) => {
    const [event] = await world.addMany(1);
    const leased = await world.leaseOne();
    await world.settleOne({ action: 'release', ...of(leased), ...later(2 * MINUTE, null) });
    await world.showsInbox(t, 'acme', [event as StoredEvent]);
    t.strictSame(await world.lease(0), []);
    world.advance(2 * MINUTE - 5e6);
    t.strictSame(await world.lease(0), []);
    world.advance(LEASE_SKEW + 10e6);
    t.match((await world.leaseOne()).lease, { attempt: 2 });
  });

  it('a lease that has run out cannot be released', async (t, world) => {
    await world.addMany(1);
    const leased = await world.leaseOne();
    world.advance(MINUTE + 1);
    const release = { action: 'release', ...of(leased), ...later(0, 'late') } as const;
    t.strictSame(await world.settleOne(release), { outcome: 'lost' });
  });

  it('a call settles first and leases then', async (t, world) => {
    const [first, second] = await world.addMany(2);
    const leased = await world.leaseOne();
    t.equal(leased.event.id, first?.id);
    const release = { action: 'release', ...of(leased), ...later(0, 'again') } as const;
    const { settled } = await world.store.lease('acme', { limit: 1, leaseFor: MINUTE, settle: [release] });
    t.strictSame(settled, [{ outcome: 'released' }]);
    const rest = await world.lease(1, { limit: 5 });
    t.equal(rest.length >= 1, true);
    t.ok([first?.id, second?.id].includes(rest[0]?.event.id));
  });
}

function extending(it: It): void {
  it('an extended lease runs from now', async (t, world) => {
    await world.addMany(1);
    const leased = await world.leaseOne();
    world.advance(MINUTE - 5e6);
    const now = world.now();
    const extended = await world.settleOne({ action: 'extend', ...of(leased), leaseFor: MINUTE });
    t.match(extended, { outcome: 'extended' });
    const { until } = extended as { until: Micros };
    t.ok(until >= now + MINUTE && until <= now + MINUTE + 1e6);
    world.advance(MINUTE - 5e6);
    t.strictSame(await world.lease(0), []);
    world.advance(LEASE_SKEW + 15e6);
    t.match((await world.leaseOne()).lease, { attempt: 2 });
  });

  it('it may also become shorter', async (t, world) => {
    await world.addMany(1);
    const leased = await world.leaseOne();
    await world.settleOne({ action: 'extend', ...of(leased), leaseFor: 1e6 });
    world.advance(LEASE_SKEW + 12e6);
    t.match((await world.leaseOne()).lease, { attempt: 2 });
  });

  it('one that has run out cannot be extended', async (t, world) => {
    await world.addMany(1);
    const leased = await world.leaseOne();
    world.advance(MINUTE + 1);
    const extend = { action: 'extend', ...of(leased), leaseFor: MINUTE } as const;
    t.strictSame(await world.settleOne(extend), { outcome: 'lost' });
  });
}

function quarantine(it: It): void {
  it('a rejected event leaves the inbox for the quarantine', async (t, world) => {
    const { store } = world;
    const [event, other] = (await world.addMany(2)) as [StoredEvent, StoredEvent];
    const leased = await world.leaseOne();
    const now = world.now();
    const reject = { action: 'reject', ...of(leased), reason: 'not an order' } as const;
    t.strictSame(await world.settleOne(reject), { outcome: 'quarantined' });
    t.strictSame(await world.settleOne(reject), { outcome: 'lost' }, 'only once');
    await world.showsInbox(t, 'acme', [other]);
    await world.showsCount(t, 'acme', 1);
    const [listed] = await world.quarantined(1);
    const { quarantine, ...rest } = listed as StoredEvent;
    t.strictSame(rest, event);
    t.match(quarantine, { attempts: 1, lastReason: 'not an order' });
    t.ok((quarantine?.since ?? 0) >= now);
    t.strictSame(await store.get('acme', event.id), listed);
    t.strictSame(await world.quarantined(0, 'globex'), []);
    t.match(await world.lease(1, { limit: 5 }), [{ event: other }], 'it is not handed out');
  });

  it('quarantined events can be acknowledged and deleted', async (t, world) => {
    const { store } = world;
    await world.addMany(4);
    const leased = await world.lease(4, { limit: 4 });
    await store.settle(
      'acme',
      leased.map((one) => ({ action: 'reject', ...of(one), reason: null })),
    );
    t.equal((await world.quarantined(4)).length, 4);
    const [a, b, c, d] = leased.map(({ event }) => event.id) as [string, string, string, string];
    t.match(await store.acknowledge('acme', a, world.now()), { outcome: 'acknowledged' });
    t.match(await store.acknowledgeMany('acme', [b], world.now()), [{ outcome: 'acknowledged' }]);
    t.equal(await store.remove('acme', c), true);
    t.strictSame(
      (await world.quarantined(1)).map(({ id }) => id),
      [d],
    );
    const acknowledged = await store.get('acme', a);
    t.not(acknowledged?.acknowledgedAt, null);
    t.equal(acknowledged?.quarantine, undefined);
    t.equal(await store.get('acme', c), undefined);
  });

  it('they are kept as long again', async (t, world) => {
    const event = await world.add();
    world.advance(TTL - 30e6);
    await world.settleOne({ action: 'reject', ...of(await world.leaseOne()), reason: null });
    world.advance(TTL - 30e6);
    t.equal((await world.quarantined(1))[0]?.id, event.id);
    t.equal((await world.store.get('acme', event.id))?.id, event.id);
    world.advance(40e6);
    t.strictSame(await world.quarantined(0), []);
    t.equal(await world.store.get('acme', event.id), undefined);
  });

  it('the walk through them takes filters', async (t, world) => {
    for (const source of ['a', 'b', 'a']) await world.add({ source });
    const leased = await world.lease(3, { limit: 3 });
    await world.store.settle(
      'acme',
      leased.map((one) => ({ action: 'reject', ...of(one), reason: null })),
    );
    await world.quarantined(3);
    const page = await world.store.listQuarantined('acme', { limit: 10, after: null, source: 'a' });
    t.strictSame(
      page.events.map(({ source }) => source),
      ['a', 'a'],
    );
  });
}

function exhausting(it: It): void {
  it('the last failed attempt brings an event into quarantine', async (t, world) => {
    const event = await world.add();
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const leased = await world.leaseOne();
      t.equal(leased.lease.attempt, attempt);
      const outcome = attempt < MAX_ATTEMPTS ? 'released' : 'quarantined';
      const reason = `attempt ${String(attempt)}`;
      t.strictSame(await world.settleOne({ action: 'release', ...of(leased), ...later(0, reason) }), {
        outcome,
      });
    }
    t.strictSame(await world.lease(0), []);
    const [listed] = await world.quarantined(1);
    t.match(listed, { id: event.id, quarantine: { attempts: MAX_ATTEMPTS, lastReason: 'attempt 3' } });
    await world.showsInbox(t, 'acme', []);
    await world.showsCount(t, 'acme', 0);
  });

  it('so does the last lease that runs out', async (t, world) => {
    const event = await world.add();
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      t.equal((await world.leaseOne()).lease.attempt, attempt);
      world.advance(MINUTE + LEASE_SKEW + 10e6);
    }
    t.strictSame(await world.lease(0), []);
    t.match(await world.quarantined(1), [
      { id: event.id, quarantine: { attempts: MAX_ATTEMPTS, lastReason: null } },
    ]);
    await world.showsInbox(t, 'acme', []);
  });

  it('the last lease may still be acknowledged while nobody has looked', async (t, world) => {
    await world.add();
    let leased = await world.leaseOne();
    for (let attempt = 2; attempt <= MAX_ATTEMPTS; attempt++) {
      await world.settleOne({ action: 'release', ...of(leased), ...later(0, null) });
      leased = await world.leaseOne();
    }
    t.match(await world.settleOne({ action: 'ack', ...of(leased), at: world.now() }), {
      outcome: 'acknowledged',
    });
  });

  it(
    'without a limit there is no last attempt',
    async (t, world) => {
      await world.add();
      for (let attempt = 1; attempt <= 2 * MAX_ATTEMPTS; attempt++) {
        const leased = await world.leaseOne();
        t.equal(leased.lease.attempt, attempt);
        const release = { action: 'release', ...of(leased), ...later(0, null) } as const;
        t.strictSame(await world.settleOne(release), { outcome: 'released' });
      }
    },
    0,
  );
}

function redriving(it: It): void {
  it('a redriven event is pending again, as if it were new', async (t, world) => {
    const { store } = world;
    const event = await world.add();
    const leased = await world.leaseOne();
    await world.settleOne({ action: 'reject', ...of(leased), reason: 'why' });
    const missing = randomUUID();
    t.strictSame(await store.redrive('acme', [missing, event.id]), [
      { outcome: 'missing' },
      { outcome: 'redriven' },
    ]);
    t.strictSame(await store.redrive('acme', [event.id]), [{ outcome: 'missing' }], 'only once');
    t.strictSame(await store.redrive('globex', [event.id]), [{ outcome: 'missing' }]);
    t.strictSame(await world.quarantined(0), []);
    await world.showsInbox(t, 'acme', [event]);
    await world.showsCount(t, 'acme', 1);
    t.strictSame(await store.get('acme', event.id), event);
    t.match(await world.leaseOne(), { event, lease: { attempt: 1, lastReason: null } });
    t.strictSame(await world.settleOne({ action: 'ack', ...of(leased), at: world.now() }), {
      outcome: 'lost',
    });
  });

  it('it lives as long as a new one', async (t, world) => {
    const event = await world.add();
    world.advance(TTL - 30e6);
    await world.settleOne({ action: 'reject', ...of(await world.leaseOne()), reason: null });
    world.advance(TTL - 30e6);
    t.strictSame(await world.store.redrive('acme', [event.id]), [{ outcome: 'redriven' }]);
    world.advance(TTL - 30e6);
    await world.showsInbox(t, 'acme', [event]);
    t.equal((await world.leaseOne()).event.id, event.id);
    world.advance(40e6);
    await world.showsInbox(t, 'acme', []);
  });
}

function besides(it: It): void {
  it('acknowledgeMany leaves leased events to their holders, unless forced', async (t, world) => {
    const { store } = world;
    await world.addMany(3);
    const [leased, second] = (await world.lease(2, { limit: 2 })) as [Leased, Leased];
    const events = await world.walk('acme', {});
    const ids = events.map(({ id }) => id);
    const free = events.findIndex(({ id }) => ![leased.event.id, second.event.id].includes(id));
    const outcomes = (await store.acknowledgeMany('acme', ids, world.now())).map(({ outcome }) => outcome);
    t.strictSame(
      outcomes,
      ids.map((_, index) => (index === free ? 'acknowledged' : 'leased')),
    );
    t.match(await world.settleOne({ action: 'ack', ...of(second), at: world.now() }), {
      outcome: 'acknowledged',
    });
    t.match(await store.acknowledgeMany('acme', [leased.event.id], world.now(), true), [
      { outcome: 'acknowledged' },
    ]);
    t.strictSame(await world.settleOne({ action: 'ack', ...of(leased), at: world.now() }), {
      outcome: 'lost',
    });
  });

  it('a lease that has run out does not keep acknowledgeMany', async (t, world) => {
    const event = await world.add();
    await world.leaseOne();
    world.advance(MINUTE + LEASE_SKEW + 10e6);
    t.match(await world.store.acknowledgeMany('acme', [event.id], world.now()), [
      { outcome: 'acknowledged' },
    ]);
  });
}

function together(it: It): void {
  it('one call settles many, and says what came of each', async (t, world) => {
    await world.addMany(9);
    const leased = await world.lease(9, { limit: 9 });
    const now = world.now();
    const actions = leased.flatMap((one, n) => at([...ends(one, now)], n % 4));
    const results = await world.store.settle('acme', [
      ...actions,
      { action: 'ack', eventId: randomUUID(), leaseId: 'ab'.repeat(16), at: now },
    ]);
    const acknowledged = { outcome: 'acknowledged', acknowledgedAt: now };
    t.match(results, [
      acknowledged,
      { outcome: 'released' },
      { outcome: 'quarantined' },
      { outcome: 'extended' },
      acknowledged,
      { outcome: 'released' },
      { outcome: 'quarantined' },
      { outcome: 'extended' },
      acknowledged,
      { outcome: 'missing' },
    ]);
    await world.showsCount(t, 'acme', 4);
    t.equal((await world.quarantined(2)).length, 2);
  });

  it('workers that fail now and then drain an inbox', async (t, world) => {
    const { store } = world;
    const events = await world.addMany(80);
    await world.showsCount(t, 'acme', 80);
    const handled = new Map<string, number>();
    let turns = 0;
    const worker = async () => {
      let settle: readonly Settlement[] = [];
      for (let empty = 0; empty < 4;) {
        const { leased } = await store.lease('acme', { limit: 6, leaseFor: MINUTE, settle });
        empty = leased.length === 0 && settle.length === 0 ? empty + 1 : 0;
        settle = leased.map((one) => {
          if (++turns % 7 === 0) {
            return { action: 'release', ...of(one), delay: 0, failed: false, reason: null };
          }
          handled.set(one.event.id, (handled.get(one.event.id) ?? 0) + 1);
          return { action: 'ack', ...of(one), at: world.now() };
        });
      }
    };
    for (let round = 0; round < 5 && handled.size < 80; round++) {
      await Promise.all([worker(), worker(), worker()]);
    }
    t.strictSame(new Set(handled.keys()), new Set(events.map(({ id }) => id)));
    t.strictSame(new Set(handled.values()), new Set([1]), 'each once');
    await world.showsInbox(t, 'acme', []);
    await world.showsCount(t, 'acme', 0);
  });
}
