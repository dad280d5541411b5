import t from 'tap';
import { Triggers } from '../../src/client/client.ts';
import { SYSTEM } from '../../src/client/world.ts';
import { codesOf, leases, setting, settles } from '../support/consumer-setting.ts';
import { LeaseStandIn } from '../support/lease-stand-in.ts';

void t.test('stop: no new leases, handlers end, the rest is given back uncounted', async (t) => {
  const { service, consume, pass, told, world } = setting(10);
  const aborted: unknown[] = [];
  const consumer = consume(
    async ({ payload }, { signal }) => {
      signal.addEventListener('abort', () => aborted.push(payload['n']));
      await pass(payload['n'] === 0 ? 3_000 : 60_000);
    },
    { concurrency: 2 },
  );
  await pass(1_000);
  await consumer.stop({ drainMs: 5_000 });
  t.ok(world.now() >= 6_000 && world.now() < 6_500);
  t.equal(service.in('acknowledged'), 1);
  t.strictSame(aborted, [1]);
  t.same(
    service.events.map(({ attempts }) => attempts),
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  );
  t.strictSame(settles(service).at(-1)?.body, { release: [{ token: 'token 1', failed: false }] });
  t.strictSame(told, []);
  const requests = service.requests.length;
  await pass(100_000);
  t.equal(service.requests.length, requests, 'nothing goes on');
  await consumer.stop();
});

void t.test('stop ends an open wait, and gives back what its answer would have brought', async (t) => {
  const { service, consume, pass, world } = setting();
  const handled: unknown[] = [];
  const consumer = consume((event) => handled.push(event));
  await pass(1_000);
  const stopped = consumer.stop();
  service.add({ n: 0 });
  await stopped;
  t.equal(world.now(), 1_000, 'at once');
  t.strictSame(handled, []);
  t.match(service.events, [{ attempts: 0, until: 1_000 }]);
  const [first, last] = leases(service);
  t.equal(last?.key, first?.key);
  t.equal(last?.body.wait_seconds, 0);
});

void t.test('stop while an answer is lost finds its leases and gives them back', async (t) => {
  const { service, consume, pass } = setting(3);
  service.fault = () => (service.requests.length === 1 ? 'answer lost' : 'none');
  const handled: unknown[] = [];
  const consumer = consume((event) => handled.push(event));
  await pass(10);
  t.same(
    service.events.map(({ attempts }) => attempts),
    [1, 1, 1],
  );
  await consumer.stop();
  t.strictSame(handled, []);
  t.same(
    service.events.map(({ attempts, until }) => [attempts, until <= 10]),
    [
      [0, true],
      [0, true],
      [0, true],
    ],
  );
});

void t.test('stop does not take for ever where nobody answers', async (t) => {
  const { service, consume, pass, told, world } = setting(1);
  const consumer = consume(() => pass(1_000));
  await pass(500);
  service.fault = () => 'lost';
  const stopped = consumer.stop();
  await stopped;
  t.ok(world.now() >= 6_000 && world.now() < 7_000, 'handler and 5 s');
  t.equal(told.length, 1, 'what could not be settled is told');
  t.equal(service.in('pending'), 1);
});

void t.test('the signal ends it at once', async (t) => {
  const { service, consume, pass, world } = setting(1);
  const stop = new AbortController();
  const consumer = consume(() => pass(30_000), { signal: stop.signal });
  await pass(500);
  stop.abort();
  await consumer.ended;
  t.equal(world.now(), 500);
  t.match(service.events, [{ attempts: 0, state: 'pending' }]);
  const requests = service.requests.length;
  await consume(() => undefined, { signal: AbortSignal.abort() }).ended;
  t.equal(service.requests.length, requests, 'not even begun');
});

void t.test('what is refused for good ends it, after the handlers', async (t) => {
  const { service, consume, pass } = setting(1);
  const consumer = consume(() => pass(1_000));
  await pass(500);
  service.fault = ({ path }) => (path.endsWith('lease') ? { status: 401 } : 'none');
  service.add({ n: 1 });
  await t.rejects(consumer.ended, { code: 'UNAUTHORIZED', status: 401 });
  await t.rejects(consumer.stop(), { code: 'UNAUTHORIZED' });
  t.equal(service.in('acknowledged'), 2, 'what was leased before is handled');
});

void t.test('without onError a settlement that failed for good ends it', async (t) => {
  const { service, consume, pass, told } = setting(3);
  service.refuse = (_, token) => (token === 'token 1' ? { outcome: 'lease_lost' } : undefined);
  await t.rejects(consume(() => pass(10), { onError: undefined }).ended, { code: 'LEASE_LOST' });
  t.equal(service.in('acknowledged'), 2);
  const other = setting(1);
  const failure = new Error('a bad handler of errors');
  const throwing = other.consume(() => Promise.reject(new Error('x')), {
    onError: () => {
      throw failure;
    },
  });
  await t.rejects(throwing.ended, failure);
  const noDelay = setting(1);
  await t.rejects(
    noDelay.consume(() => Promise.reject(new Error('x')), { backoff: () => NaN }).ended,
    TypeError,
  );
  t.match(noDelay.service.events, [{ attempts: 0 }], 'given back');
  t.strictSame(codesOf(told), []);
});

void t.test('options that cannot work', (t) => {
  const { consume } = setting();
  for (const options of [
    { concurrency: 0 },
    { concurrency: 1.5 },
    { leaseSeconds: 0 },
    { leaseSeconds: 43_201 },
    { waitSeconds: 21 },
    { leaseSeconds: 60, maxLeaseSeconds: 59 },
  ]) {
    t.throws(() => consume(() => undefined, options), TypeError, JSON.stringify(options));
  }
  t.end();
});

void t.test('over sockets: a service that is away for a while, and two consumers', async (t) => {
  const service = new LeaseStandIn(SYSTEM);
  const { url, close } = await service.listen();
  t.teardown(close);
  service.add(...Array.from({ length: 200 }, (_, n) => ({ n })));
  let requests = 0;
  service.fault = () =>
    (['none', 'none', 'answer lost', 'answer lost', 'lost'] as const)[requests++] ?? 'none';
  const seen: unknown[] = [];
  const done = new Promise<void>((resolve) => {
    const { inbox } = new Triggers({ baseUrl: url, apiKey: 'k' });
    const consumers = [1, 2].map(() =>
      inbox.consume(async ({ payload }) => {
        await new Promise(setImmediate);
        seen.push(payload['n']);
        if (seen.length === 200)
          resolve(Promise.all(consumers.map((one) => one.stop())).then(() => undefined));
      }),
    );
  });
  await done;
  t.equal(new Set(seen).size, 200);
  t.equal(seen.length, 200, 'each once');
  t.equal(service.in('acknowledged'), 200);
});
