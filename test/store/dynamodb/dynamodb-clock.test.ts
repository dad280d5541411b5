import t, { type Test } from 'tap';
import { StoreUnavailableError } from '../../../src/store/store-errors.ts';
import { createClockCheck } from '../../../src/store/dynamodb/clock-check.ts';
import { clockContract, believe } from '../../contracts/clock-contract.ts';
import { startTestApp } from '../../support/app.ts';
import { eventually, silentLog, startDynalite } from '../../../bench/harness/dynamodb.ts';
import { newEvent, openStore } from '../../support/dynamodb.ts';
import { dynamoService } from '../../support/dynamodb-service.ts';
import { startFaultyEndpoint } from '../../../bench/harness/faulty-endpoint.ts';
import { fakeTime } from '../../support/time.ts';

t.jobs = 2;

const MINUTE = 60e6;
const HOUR = 3_600_000;
const service = dynamoService(startDynalite);

clockContract(t, service);

void t.test('a clock that is minutes off: no writes, not ready, reported; reads continue', async (t) => {
  for (const [minutes, where] of [
    [6, 'ahead of'],
    [-6, 'behind'],
  ] as const) {
    const { store, clock, warnings, claimed } = await setUp(t);
    const before = newEvent();
    await store.append(before);
    clock.off = minutes * MINUTE;
    for (let i = 0; i < 3; i++) await store.get('acme', before.id);
    const said = new RegExp(`the clock is 3(59|60|61) s ${where} DynamoDB's; no events are taken`);
    await t.rejects(store.append(newEvent()), { name: 'StoreUnavailableError', message: said });
    await t.rejects(claimed(), { name: 'StoreUnavailableError', message: said });
    await t.rejects(store.ping(), { name: 'StoreUnavailableError', message: said });
    t.match(warnings, [said]);
    t.strictSame(await store.get('acme', before.id), before);
    t.match(await store.acknowledge('acme', before.id, before.createdAt + 1), { outcome: 'acknowledged' });
    clock.off = 0;
    await store.ping();
    await store.append(newEvent());
    await claimed();
    t.match(warnings, [said, /the clock agrees with DynamoDB's again/]);
  }
});

void t.test(
  'a clock that is seconds off is only reported, once, and again when the difference changes much',
  async (t) => {
    const { store, clock, warnings } = await setUp(t);
    const ask = async (off: number) => {
      clock.off = off;
      for (let i = 0; i < 5; i++) await store.ping();
    };
    await ask(3e6);
    t.same(warnings, []);
    await ask(60e6);
    await ask(63e6);
    await store.append(newEvent());
    t.match(warnings, [/is (59|60) s ahead of DynamoDB's: set this machine's clock/]);
    await ask(-120e6);
    t.match(warnings.slice(1), [/is (119|120) s behind/]);
    await ask(0);
    t.match(warnings.slice(2), [/again/]);
  },
);

void t.test('one answer that is dated wrongly, or not at all, is not believed', async (t) => {
  const { store, proxy, warnings } = await setUp(t);
  for (const dates of [() => Date.now() - 3_600_000, () => null]) {
    let answers = 0;
    proxy.dateMs = () => (answers++ % 3 === 0 ? Date.now() : dates());
    for (let i = 0; i < 9; i++) await store.ping();
  }
  proxy.dateMs = () => null;
  for (let i = 0; i < 9; i++) await store.ping();
  await store.append(newEvent());
  t.same(warnings, []);
});

void t.test('errors count as answers, and a slow answer does not mean a wrong clock', async (t) => {
  const { store, proxy, clock } = await setUp(t);
  proxy.fault = () => ({ kind: 'slow', ms: 800 });
  for (let i = 0; i < 3; i++) await store.ping();
  await store.append(newEvent());
  proxy.fault = () => ({ kind: 'error', status: 400, type: 'x#ValidationException' });
  clock.off = 10 * MINUTE;
  for (let i = 0; i < 3; i++) await t.rejects(store.get('acme', 'x'), { message: /does not take a request/ });
  await t.rejects(store.append(newEvent()), StoreUnavailableError);
});

void t.test('a difference that latency can explain does not count', (t) => {
  const warnings: string[] = [];
  let now = 1_000_000e6;
  const log = { ...silentLog, warn: (_: object, message: string) => warnings.push(message) };
  const check = createClockCheck([() => now], log);
  const date = new Date(1_000_000_000).toUTCString();
  now += 1_000e6;
  for (let i = 0; i < 5; i++) check.answered(date, [1_000_000e6 - 1_000e6]);
  t.doesNotThrow(() => {
    check.refuse();
  });
  for (let i = 0; i < 3; i++) check.answered(date, [1_000_000e6 + 302e6]);
  t.throws(() => {
    check.refuse();
  }, /301 s ahead/);
  check.answered('no date', [1_000_000e6]);
  t.throws(() => {
    check.refuse();
  }, 'what cannot be read says nothing');
  t.equal(warnings.length, 1);
  t.end();
});

for (const step of [HOUR, -HOUR]) {
  void t.test(
    `the service: no writes and not ready while its clock is off by ${String(step)} ms`,
    async (t) => {
      const time = fakeTime();
      const app = await service.start(t, {}, time);
      const post = (n: number) => app.request('POST', '/events', { event_type: 't', payload: { n } });
      const id = String((await post(1)).json['event_id']);
      time.jump(step);
      t.equal((await post(2)).status, 200, 'not believed yet');
      await believe(app, time);
      for (let i = 0; i < 3; i++) await app.request('GET', `/events/${id}`);
      const refused = await post(3);
      t.equal(refused.status, 503);
      t.ok(refused.headers.get('retry-after'));
      t.equal((await app.request('GET', '/v1/ready')).status, 503);
      t.equal((await app.request('GET', `/events/${id}`)).status, 200);
      time.jump(-step);
      await believe(app, time);
      // Times never go back: once an event was dated ahead, times stay ahead until the process is restarted.
      const wanted = step > 0 ? 503 : 200;
      t.equal((await app.request('GET', '/v1/ready')).status, wanted);
      t.equal((await post(4)).status, wanted);
    },
  );
}

void t.test('the service starts with a clock that is off, and is ready once it is set', async (t) => {
  const time = fakeTime();
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  proxy.dateMs = time.trueMs;
  time.jump(-600_000);
  const app = await startTestApp(t, { STORE: 'dynamodb', DYNAMODB_ENDPOINT_URL: proxy.endpoint }, time);
  await eventually(async () => {
    const { status } = await app.request('GET', '/v1/ready');
    const warned = app.logged.some(({ msg }) => /is (599|600) s behind DynamoDB's/.test(String(msg)));
    if (status !== 503 || !warned) throw new Error('not said yet');
  });
  time.jump(600_000);
  await believe(app, time);
  t.equal((await app.request('GET', '/v1/ready')).status, 200);
});

/** A store that dates events by the real time, or by the time of a test. */
async function setUp(t: Test) {
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  const clock = { off: 0 };
  const warnings: string[] = [];
  const store = await openStore(t, proxy.endpoint, {
    checkedClocks: [() => Date.now() * 1000 + clock.off],
    log: { ...silentLog, warn: (_, message) => warnings.push(message) },
  });
  await eventually(() => store.ping());
  let claims = 0;
  const claimed = () => {
    const digits = String(claims++).padStart(64, '0');
    const event = newEvent();
    return store.append(event, { key: digits, fingerprint: digits, expiresAt: event.createdAt + MINUTE });
  };
  return { store, proxy, clock, warnings, claimed };
}
