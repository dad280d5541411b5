import { CALL_BUDGET_MS } from '../../src/store/dynamodb/deadline.ts';
import { randomUUID } from 'node:crypto';
import { DynamoDBDocumentClient, GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import t, { type Test } from 'tap';
import type { StoredEvent } from '../../src/store/event.ts';
import { createClient } from '../../src/store/dynamodb/client.ts';
import { CorruptEventError, StoreUnavailableError } from '../../src/store/store-errors.ts';
import type { Appended, Claim } from '../../src/store/event-store.ts';
import { freshTables, startDynalite } from '../../bench/harness/dynamodb.ts';
import { DAY, newEvent, openStore, PATIENT_MS } from '../support/dynamodb.ts';
import { startFaultyEndpoint, type Fault } from '../../bench/harness/faulty-endpoint.ts';

const WINDOW = 300e6;

/** The requests of an append that is the first to bring its claim, and of one that is not, in their order. */
const steps = {
  first: ['claim', 'event'],
  second: ['claim', 'claim read', 'event read'],
  completing: ['claim', 'claim read', 'event read', 'event'],
} as const;
type Step = (typeof steps)[keyof typeof steps][number];

for (const step of steps.first) {
  for (const kind of ['reset', 'lost answer', 'silent'] as const) {
    void t.test(`the first append, ${step} request, ${kind}: it goes on and is the first`, async (t) => {
      const world = await setUp(t);
      const first = newEvent();
      const faults = world.failOnce(step, { kind });
      t.same(await world.store.append(first, world.claim), { outcome: 'stored' });
      t.equal(faults.happened, 1);
      await world.isOnlyEvent(t, first);
      t.same(await world.store.append(newEvent(), world.claim), duplicateOf(first));
      await world.isOnlyEvent(t, first);
    });
  }
}

for (const [kind, faulty] of Object.entries({ second: steps.second, completing: steps.completing })) {
  for (const step of faulty) {
    for (const fault of ['reset', 'lost answer', 'silent'] as const) {
      void t.test(`an append that meets a claim (${kind}), ${step} request, ${fault}`, async (t) => {
        const world = await setUp(t);
        const first = newEvent();
        if (kind === 'second') await world.store.append(first, world.claim);
        else await world.dieAfterClaim(t, first);
        const faults = world.failOnce(step, { kind: fault });
        t.same(await world.store.append(newEvent(), world.claim), duplicateOf(first));
        t.equal(faults.happened, 1);
        await world.isOnlyEvent(t, first);
      });
    }
  }
}

for (const step of steps.first) {
  for (const kind of ['hang', 'silent'] as const) {
    void t.test(
      `no answer to the ${step} request until the deadline (${kind}): an error, and a retry gets it`,
      async (t) => {
        const world = await setUp(t);
        const first = newEvent();
        world.failAlways(step, { kind });
        const started = performance.now();
        await t.rejects(world.store.append(first, world.claim), StoreUnavailableError);
        t.ok(performance.now() - started < 3_500, 'promised are 2 s');
        world.heal();
        const [second, third] = [newEvent(), newEvent()];
        const answers = [
          await world.store.append(second, world.claim),
          await world.other.append(third, world.claim),
        ] as const;
        // Carried out without an answer, or never.
        const claimed = kind === 'silent' || step === 'event' ? first : second;
        t.same(answers[0], claimed === second ? { outcome: 'stored' } : duplicateOf(first));
        t.same(answers[1], duplicateOf(claimed));
        await world.isOnlyEvent(t, claimed);
      },
    );
  }
}

void t.test(
  'a crash between claim and event: whoever comes next completes it, in their own spelling',
  async (t) => {
    const world = await setUp(t);
    const first = newEvent({ payload: '{"a":1}', metadata: '{"k":1}' });
    await world.dieAfterClaim(t, first);
    const second = newEvent({ payload: '{"a":1.0}', metadata: '{"k":1.0}' });
    t.same(await world.other.append(second, world.claim), duplicateOf(first));
    await world.isOnlyEvent(t, { ...second, id: first.id, createdAt: first.createdAt });
    t.equal(await world.other.get('acme', second.id), undefined);
  },
);

void t.test(
  'a crash between claim and event: other content is a conflict, the same still completes it',
  async (t) => {
    const world = await setUp(t);
    const first = newEvent();
    await world.dieAfterClaim(t, first);
    const other = { ...world.claim, fingerprint: 'f'.repeat(64) };
    t.same(await world.store.append(newEvent(), other), { outcome: 'conflict' });
    t.same(await world.store.append(newEvent(), world.claim), duplicateOf(first));
    await world.isOnlyEvent(t, first);
  },
);

void t.test('200 identical appends at once on two instances: one is stored, all get its id', async (t) => {
  const world = await setUp(t, { callBudgetMs: PATIENT_MS });
  const events = Array.from({ length: 200 }, () => newEvent());
  const answers: Appended[] = [];
  const queue = events.entries();
  // 64 callers: all 200 in one moment are more than this emulator answers before the store's deadline.
  await Promise.all(
    Array.from({ length: 64 }, async () => {
      for (const [at, event] of queue) {
        answers[at] = await (at % 2 === 0 ? world.store : world.other).append(event, world.claim);
      }
    }),
  );
  const stored = events.filter((_, at) => answers[at]?.outcome === 'stored');
  t.equal(stored.length, 1);
  const [first] = stored as [StoredEvent];
  t.ok(
    answers.every(
      (answer) => answer.outcome === 'stored' || (answer.outcome === 'duplicate' && answer.id === first.id),
    ),
  );
  await world.isOnlyEvent(t, first);
});

void t.test('200 identical appends at once while answers get lost: one event, one id', async (t) => {
  const world = await setUp(t, { callBudgetMs: PATIENT_MS });
  let count = 0;
  world.proxy.fault = () =>
    ++count % 5 === 0 ? { kind: count % 2 === 0 ? 'lost answer' : 'reset' } : undefined;
  const events = Array.from({ length: 200 }, () => newEvent());
  const answers = await Promise.allSettled(events.map((event) => world.store.append(event, world.claim)));
  world.heal();
  const ids = answers.flatMap((answer, at) =>
    answer.status === 'fulfilled' ? [idIn(answer.value, events[at])] : [],
  );
  t.ok(ids.length > 100);
  t.equal(new Set(ids).size, 1);
  const first = events.find(({ id }) => id === ids[0]);
  t.same(await world.store.append(newEvent(), world.claim), duplicateOf(first as StoredEvent));
  await world.isOnlyEvent(t, first as StoredEvent);
});

void t.test('a claim that expires and is taken anew while its first event is still under way', async (t) => {
  const world = await setUp(t);
  const [first, second] = [newEvent(), newEvent({ createdAt: newEvent().createdAt + WINDOW })];
  let later: Appended | undefined;
  const faults = world.failOnce('event', {
    kind: 'reset',
    before: async () => {
      world.advance(WINDOW);
      later = await world.other.append(second, { ...world.claim, expiresAt: world.now() + WINDOW });
    },
  });
  t.same(await world.store.append(first, world.claim), { outcome: 'stored' }, 'the first of its window');
  t.equal(faults.happened, 1);
  t.same(later, { outcome: 'stored' }, 'the first of the next one');
  t.same((await world.store.listPending('acme', { limit: 10, after: null })).events, [first, second]);
});

for (const fate of ['acknowledge', 'remove'] as const) {
  void t.test(
    `the answer to the event is lost, then ${fate}, then it is put again: it stays so`,
    async (t) => {
      const world = await setUp(t);
      const first = newEvent();
      world.failOnce('event', {
        kind: 'lost answer',
        before: () =>
          fate === 'remove'
            ? world.other.remove('acme', first.id)
            : world.other.acknowledge('acme', first.id, world.now()),
      });
      t.same(await world.store.append(first, world.claim), { outcome: 'stored' });
      t.same((await world.other.listPending('acme', { limit: 10, after: null })).events, []);
      t.same(await world.store.append(newEvent(), world.claim), duplicateOf(first));
      const wanted = fate === 'remove' ? undefined : { ...first, acknowledgedAt: world.now() };
      t.same(await world.store.get('acme', first.id), wanted);
    },
  );
}

for (const kind of ['reset', 'lost answer', 'silent'] as const) {
  void t.test(
    `the removal of a claimed event, tombstone request, ${kind}: true once, nothing comes back`,
    async (t) => {
      const world = await setUp(t);
      const first = newEvent();
      await world.store.append(first, world.claim);
      let happened = 0;
      world.proxy.fault = (operation) =>
        operation === 'UpdateItem' && happened++ === 0 ? { kind } : undefined;
      t.equal(await world.store.remove('acme', first.id), true);
      t.equal(happened, 2);
      t.equal(await world.other.remove('acme', first.id), false);
      t.same(await world.other.append(newEvent(), world.claim), duplicateOf(first));
      t.equal(await world.store.get('acme', first.id), undefined);
    },
  );
}

void t.test('of 20 removals of a claimed event at once exactly one removes', async (t) => {
  const world = await setUp(t);
  const first = newEvent();
  await world.store.append(first, world.claim);
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, at) =>
      (at % 2 === 0 ? world.store : world.other).remove('acme', first.id),
    ),
  );
  t.equal(answers.filter(Boolean).length, 1);
});

void t.test('another tenant cannot remove a claimed event, nor learn of it', async (t) => {
  const world = await setUp(t);
  const first = newEvent();
  await world.store.append(first, world.claim);
  t.equal(await world.store.remove('other', first.id), false);
  await world.isOnlyEvent(t, first);
  await world.store.remove('acme', first.id);
  t.equal(await world.store.remove('other', first.id), false);
  t.same(await world.store.acknowledge('other', first.id, world.now()), { outcome: 'missing' });
});

void t.test('a removed event leaves nothing of itself; without a claim, nothing at all', async (t) => {
  const world = await setUp(t);
  const [claimed, plain] = [newEvent({ metadata: '{}' }), newEvent()];
  await world.store.append(claimed, world.claim);
  await world.store.append(plain);
  await world.store.acknowledge('acme', claimed.id, world.now());
  for (const { id } of [claimed, plain]) t.equal(await world.store.remove('acme', id), true);
  const { remove_token, ...tombstone } = (await world.item(claimed.id)) ?? {};
  t.type(remove_token, 'string');
  const ttl = Math.ceil(world.claim.expiresAt / 1e6) + 86_400;
  t.same(tombstone, { event_id: claimed.id, status: 'removed', claim_ttl: ttl, ttl });
  t.equal(await world.item(plain.id), undefined);
});

void t.test(
  'an event that expired while its claim lives is not brought back, and stays until the claim ends',
  async (t) => {
    const world = await setUp(t, { eventTtl: 60e6 });
    const first = newEvent();
    await world.store.append(first, world.claim);
    const item = await world.item(first.id);
    t.equal(item?.['ttl'], Math.ceil(world.claim.expiresAt / 1e6) + 86_400);
    world.advance(120e6);
    t.same(await world.store.append(newEvent(), world.claim), duplicateOf(first));
    t.equal(await world.store.get('acme', first.id), undefined);
    t.equal(await world.store.remove('acme', first.id), false);
    t.same(await world.item(first.id), item);
  },
);

void t.test('an event that is completed late lives its whole life from then', async (t) => {
  const world = await setUp(t, { life: 7 * DAY });
  const first = newEvent();
  await world.dieAfterClaim(t, first);
  world.advance(6 * DAY);
  const second = newEvent({ createdAt: world.now() });
  await world.store.append(second);
  t.same(await world.store.append(newEvent(), world.claim), duplicateOf(first));
  world.advance(6 * DAY);
  const both = (await world.store.listPending('acme', { limit: 10, after: null })).events;
  t.same(new Set(both.map(({ id }) => id)), new Set([first.id, second.id]));
  t.strictSame(await world.store.get('acme', first.id), first, 'created when it was');
  t.equal((await world.store.countPending('acme')).count, 2);
  t.match(await world.store.acknowledge('acme', first.id, world.now()), { outcome: 'acknowledged' });
  t.equal(await world.store.remove('acme', first.id), true);
  world.advance(2 * DAY);
  t.equal(await world.store.get('acme', second.id), undefined, 'then both have expired');
});

void t.test('a damaged claim is an error that names it', async (t) => {
  const world = await setUp(t);
  const whole = {
    claim_key: world.claim.key,
    fingerprint: world.claim.fingerprint,
    event_id: randomUUID(),
    created_at: world.now(),
    expires_at: world.claim.expiresAt,
  };
  for (const name of ['fingerprint', 'event_id', 'created_at'] as const) {
    await world.engine.send(
      new PutCommand({ TableName: world.tables.claims, Item: { ...whole, [name]: true } }),
    );
    await t.rejects(world.store.append(newEvent(), world.claim), CorruptEventError, name);
  }
});

void t.test('a claims table that is missing is named', async (t) => {
  const endpoint = await startDynalite(t);
  const tables = freshTables();
  await openStore(t, endpoint, { tables });
  const store = await openStore(t, endpoint, {
    tables: { ...tables, claims: 'claims-of-mine' },
    createTables: false,
  });
  await t.rejects(store.ping(), { message: /table claims-of-mine does not exist/ });
});

async function setUp(t: Test, { eventTtl = 7 * DAY, life = WINDOW, callBudgetMs = CALL_BUDGET_MS } = {}) {
  const target = await startDynalite(t);
  const proxy = await startFaultyEndpoint(t, target);
  const tables = freshTables();
  let time = newEvent().createdAt;
  const options = { tables, eventTtl, callBudgetMs, now: () => time };
  const store = await openStore(t, proxy.endpoint, options);
  const other = await openStore(t, target, options);
  const engine = rawClient(t, target);
  const claim: Claim = { key: digits(), fingerprint: digits(), expiresAt: time + life };

  const stepOf = (operation: string, body: string): Step | undefined => {
    const isClaim = body.includes(tables.claims);
    if (operation === 'PutItem') return isClaim ? 'claim' : 'event';
    if (operation === 'GetItem') return isClaim ? 'claim read' : 'event read';
    return undefined;
  };

  return {
    proxy,
    store,
    /** On the same tables, past the faults. */
    other,
    engine,
    tables,
    claim,
    now: () => time,
    advance(by: number) {
      time += by;
    },
    heal() {
      proxy.fault = () => undefined;
    },
    failOnce(step: Step, fault: Fault) {
      const faults = { happened: 0 };
      proxy.fault = (operation, body) =>
        stepOf(operation, body) === step && faults.happened++ === 0 ? fault : undefined;
      return {
        get happened() {
          return Math.min(1, faults.happened);
        },
      };
    },
    failAlways(step: Step, fault: Fault) {
      proxy.fault = (operation, body) => (stepOf(operation, body) === step ? fault : undefined);
    },
    /** An instance that is gone after its claim is put. */
    async dieAfterClaim(t: Test, event: StoredEvent) {
      const type = 'com.amazon.coral.service#UnrecognizedClientException';
      this.failAlways('event', { kind: 'error', status: 400, type });
      await t.rejects(store.append(event, claim), StoreUnavailableError);
      this.heal();
    },
    async item(id: string) {
      const request = new GetCommand({
        TableName: tables.events,
        Key: { event_id: id },
        ConsistentRead: true,
      });
      return (await engine.send(request)).Item;
    },
    async isOnlyEvent(t: Test, event: StoredEvent) {
      t.strictSame((await other.listPending('acme', { limit: 10, after: null })).events, [event]);
      t.strictSame(await other.get('acme', event.id), event);
    },
  };
}

function rawClient(t: Test, endpoint: string): DynamoDBDocumentClient {
  const client = createClient({ endpoint, region: 'us-east-1' });
  t.teardown(() => {
    client.destroy();
  });
  return client;
}

function digits(): string {
  return randomUUID().replaceAll('-', '').repeat(2);
}

function idIn(answer: Appended, event: StoredEvent | undefined): string | undefined {
  return answer.outcome === 'stored' ? event?.id : answer.outcome === 'duplicate' ? answer.id : 'conflict';
}

function duplicateOf({ id, createdAt }: StoredEvent): Appended {
  return { outcome: 'duplicate', id, createdAt };
}
