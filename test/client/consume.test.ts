import t from 'tap';
import { Reject, Release } from '../../src/client/verdict.ts';
import { codesOf, leases, setting, settles } from '../support/consumer-setting.ts';

void t.test('each event is handled once, in order, and acknowledged by the next lease call', async (t) => {
  const { service, consume, pass, told } = setting(25);
  const seen: unknown[] = [];
  const consumer = consume(({ payload }, { attempt }) => seen.push([payload['n'], attempt]), {
    concurrency: 10,
  });
  await pass(1_000);
  t.strictSame(
    seen,
    Array.from({ length: 25 }, (_, n) => [n, 1]),
  );
  t.equal(service.in('acknowledged'), 25);
  t.equal(settles(service).length, 0, 'all by combined calls');
  t.equal(leases(service).length, 4);
  service.add({ n: 25 });
  await pass(100);
  t.equal(service.in('acknowledged'), 26, 'the open wait brought it');
  await consumer.stop();
  t.strictSame(told, []);
});

void t.test('slots are refilled one by one, and never is more leased than there are', async (t) => {
  const { service, consume, pass } = setting(40);
  const ends: number[] = [];
  const consumer = consume(
    async ({ payload }) => {
      await pass(payload['n'] === 0 ? 20_000 : 100);
      ends.push(payload['n'] as number);
    },
    { concurrency: 4 },
  );
  await pass(5_000);
  t.equal(service.in('acknowledged'), 39, 'one slow event holds up nobody');
  t.equal(service.mostLeased, 4);
  await pass(16_000);
  t.equal(ends.at(-1), 0);
  t.equal(service.in('acknowledged'), 40);
  await consumer.stop();
});

void t.test('when a wait is open, what is done is settled alone after 50 ms', async (t) => {
  const { service, consume, pass } = setting(2);
  const consumer = consume(({ payload }) => pass(1_000 + (payload['n'] as number) * 10), { concurrency: 3 });
  await pass(1_055);
  t.equal(settles(service).length, 1, 'both in one call');
  t.strictSame(settles(service)[0]?.body, { ack: ['token 0', 'token 1'] });
  t.equal(settles(service)[0]?.at, 1_050);
  t.equal(leases(service).length, 2, 'and the wait goes on');
  await consumer.stop();
});

void t.test('what a handler throws decides about its event', async (t) => {
  const { service, consume, pass, told } = setting(5);
  const attempts: unknown[] = [];
  const failure = new Error('no stock \ud800\n' + 'x'.repeat(300));
  const consumer = consume(
    async ({ payload: { n }, lease }, { attempt }) => {
      await Promise.resolve();
      attempts.push([n, attempt, lease.lastReason]);
      if (attempt > 1) return;
      if (n === 0) throw failure;
      if (n === 1) throw new Reject('never');
      if (n === 2) throw new Release({ delaySeconds: 7.2, reason: 'later' });
      if (n === 3 && attempts.length < 6) throw new Release({ delaySeconds: 1, failed: false });
    },
    { concurrency: 5, backoff: (attempt) => attempt * 3 },
  );
  await pass(100);
  t.strictSame(leases(service)[1]?.body.settle, {
    ack: ['token 4'],
    release: [
      { token: 'token 0', delay_seconds: 3, reason: ('no stock   ' + 'x'.repeat(245)).slice(0, 256) },
      { token: 'token 2', delay_seconds: 8, reason: 'later' },
      { token: 'token 3', delay_seconds: 1, failed: false },
    ],
    reject: [{ token: 'token 1', reason: 'never' }],
  });
  await pass(15_000);
  t.strictSame(attempts.slice(5), [
    [3, 1, null],
    [0, 2, ('no stock   ' + 'x'.repeat(245)).slice(0, 256)],
    [2, 2, 'later'],
  ]);
  t.equal(service.in('quarantined'), 1);
  t.equal(service.in('acknowledged'), 4);
  t.strictSame(
    told.map(({ error }) => error),
    [failure],
  );
  await consumer.stop();
});

void t.test('leases are extended at half time, up to the most that a handler may have', async (t) => {
  const { service, consume, pass, told } = setting(1);
  const aborted: unknown[] = [];
  const consumer = consume(
    async (_, { signal }) => {
      signal.addEventListener('abort', () => aborted.push(signal.reason));
      await pass(100_000);
    },
    { concurrency: 1, leaseSeconds: 20, maxLeaseSeconds: 50 },
  );
  await pass(49_600);
  t.strictSame(
    settles(service).map(({ at, body }) => [at, body.extend?.[0]?.lease_seconds]),
    [
      [10_050, 20],
      [20_100, 20],
      [30_150, 19],
      [39_700, 10],
    ],
  );
  t.strictSame(aborted, []);
  await pass(500);
  t.match(aborted, [{ code: 'LEASE_LOST', message: 'the handler took longer than maxLeaseSeconds' }]);
  t.strictSame(codesOf(told), [['LEASE_LOST', 0]]);
  await consumer.stop({ drainMs: 0 });
});

void t.test(
  'a lease that is lost aborts the handler, whose late acknowledgement is tried all the same',
  async (t) => {
    const { service, consume, pass, told } = setting(2);
    service.refuse = (action, token) =>
      action === 'extend' && token === 'token 0' ? { outcome: 'lease_lost' } : undefined;
    let lostAt = 0;
    const consumer = consume(async ({ payload }, { signal }) => {
      if (payload['n'] === 0)
        signal.addEventListener('abort', () => (lostAt = service.requests.at(-1)?.at ?? 0));
      await pass(40_000);
    });
    await pass(39_000);
    t.equal(lostAt, 30_050);
    t.strictSame(codesOf(told), [['LEASE_LOST', 0]]);
    await pass(2_000);
    t.equal(service.in('acknowledged'), 2);
    t.equal(told.length, 1);
    await consumer.stop();
  },
);

void t.test('an answer that is lost costs no lease, and no attempt', async (t) => {
  const { service, consume, pass, told } = setting(20);
  let requests = 0;
  service.fault = () => (['answer lost', 'lost', 'none'] as const)[requests++ % 3] ?? 'none';
  const attempts: number[] = [];
  const seen = new Set<unknown>();
  const consumer = consume(
    async ({ payload }, { attempt }) => {
      attempts.push(attempt);
      seen.add(payload['n']);
      await pass(100);
    },
    { concurrency: 5 },
  );
  await pass(20_000);
  t.equal(service.in('acknowledged'), 20);
  t.equal(seen.size, 20);
  t.strictSame(
    attempts,
    attempts.map(() => 1),
  );
  t.equal(attempts.length, 20, 'each once');
  t.equal(service.mostLeased, 5);
  const keys = leases(service).map(({ key }) => key);
  t.equal(
    new Set(keys).size,
    Math.ceil(keys.length / 3),
    'the tries of a call have one key, and each call its own',
  );
  await consumer.stop();
  t.strictSame(told, []);
});

void t.test('an outage is survived, however long, and told', async (t) => {
  const { service, consume, pass, told, world } = setting(0);
  service.fault = () => (world.now() < 3_600_000 ? { status: 503 } : 'none');
  const consumer = consume(() => undefined);
  service.add({ n: 0 });
  await pass(3_700_000);
  t.equal(service.in('acknowledged'), 1);
  t.ok(told.length > 100);
  t.match(told[0], { error: { code: 'SERVICE_UNAVAILABLE', retryable: true }, n: undefined });
  await consumer.stop();
});

void t.test('settlements that failed for now are sent again until the lease is over', async (t) => {
  const { service, consume, pass, told, world } = setting(2);
  const failed = { outcome: 'failed', error: { code: 'SERVICE_UNAVAILABLE', message: 'busy' } } as const;
  service.refuse = (_, token) =>
    token === 'token 1' || world.now() < 5_000 ? { ...failed, retryable: true } : undefined;
  const consumer = consume(() => undefined, { waitSeconds: 0 });
  await pass(10_000);
  t.equal(service.in('acknowledged'), 1);
  t.strictSame(told, []);
  await pass(55_000);
  t.strictSame(codesOf(told), [['SERVICE_UNAVAILABLE', 1]]);
  t.ok((told[0]?.at ?? 0) >= 60_000);
  service.refuse = () => undefined;
  await consumer.stop();
});

void t.test('an inbox that answers at once is not asked all the time', async (t) => {
  const { service, consume, pass } = setting(0);
  const consumer = consume(() => undefined, { waitSeconds: 0 });
  await pass(10_000);
  t.equal(service.requests.length, 10);
  await consumer.stop();
});

void t.test('an extension is not taken along by a call that waits', async (t) => {
  const { service, consume, pass, told } = setting(2);
  const consumer = consume(({ payload }) => pass(payload['n'] === 0 ? 25_000 : 10_020), {
    ...{ concurrency: 2, leaseSeconds: 20 },
  });
  await pass(24_000);
  t.match(settles(service)[0], { at: 10_050, body: { extend: [{ token: 'token 0' }] } });
  t.equal(leases(service)[1]?.at, 10_020);
  t.strictSame(told, []);
  await consumer.stop();
});

void t.test('leases that come by a repeated call may be half over', async (t) => {
  const { service, consume, pass, told, world } = setting(1);
  service.fault = () => {
    if (service.requests.length === 1) return 'answer lost';
    return world.now() < 12_000 ? 'lost' : 'none';
  };
  const consumer = consume(() => pass(15_000), { leaseSeconds: 20 });
  await pass(35_000);
  t.ok((settles(service)[0]?.at ?? Infinity) < 20_000, 'extended in time');
  t.equal(service.in('acknowledged'), 1);
  t.same(service.events[0]?.attempts, 1);
  t.strictSame(codesOf(told).slice(0, 1), [['NETWORK_ERROR', undefined]]);
  t.notOk(told.some(({ n }) => n === 0));
  await consumer.stop();
});

void t.test('results are those of their events, and a repeated rejection is no loss', async (t) => {
  const { service, consume, pass, told } = setting(3);
  service.refuse = (_, token) => (token === 'token 2' ? { outcome: 'lease_lost' } : undefined);
  service.fault = () => (service.requests.length === 2 ? 'answer lost' : 'none');
  const handler = async ({ payload: { n } }: { payload: Record<string, unknown> }) => {
    await Promise.resolve();
    if (n === 0) throw new Release({ delaySeconds: 100 });
    if (n === 1) throw new Reject('never');
  };
  const consumer = consume(handler, { concurrency: 3 });
  await pass(1_000);
  t.equal(service.in('quarantined'), 1);
  t.strictSame(codesOf(told), [['LEASE_LOST', 2]]);
  await consumer.stop();
});
