import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createClock } from '../../../src/events/clock.ts';
import { clockContract, believe, idsOf } from '../../contracts/clock-contract.ts';
import { startTestApp } from '../../support/app.ts';
import type { TestApp } from '../../support/app.ts';
import { openRaw, openRawMeta, openTestStore } from '../../support/embedded.ts';
import { fakeTime } from '../../support/time.ts';
import { beside } from '../../support/beside.ts';

t.jobs = 4;

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY * 1000;
const HELD = /^expired events are hidden but not deleted/;

clockContract(t, { start: startTestApp });

const state = beside(t);

state('eight days forward for one sweep and back, under a running service: nothing is lost', async (t) => {
  const time = fakeTime();
  const env = { DATA_DIR: t.testdir() };
  const app = await startTestApp(t, env, time);
  const ids = [await app.send(), await app.send(), await app.send()];
  time.advance(3 * DAY);
  time.jump(8 * DAY);
  await believe(app, time);
  t.same(await idsOf(app), [], 'all seems to have expired');
  const young = await app.send();
  await swept(app);
  time.jump(-8 * DAY);
  await believe(app, time);
  t.same(await idsOf(app), [...ids, young]);
  t.match(stepsOf(app), [
    /has stepped 691200\.0 s forward: it is not followed/,
    /after a step of 691200\.0 s forward: it is followed/,
    /has stepped 691200\.0 s back: it is not followed/,
    /after a step of 691200\.0 s back: it is followed/,
  ]);
  await app.app.close();
  const again = await startTestApp(t, env, time);
  t.match(again.logged, [
    { level: 'warn', msg: /^the newest stored event is 6\d{5}\.\d s ahead of the wall clock/ },
  ]);
  const last = await again.send();
  t.same(await idsOf(again), [...ids, young, last]);
});

state('one hour ahead for minutes, one POST, and back: equal 3,000 s later is new', async (t) => {
  const time = fakeTime();
  const app = await startTestApp(t, {}, time);
  time.jump(HOUR);
  await believe(app, time);
  time.advance(120_000);
  const first = await post(app);
  time.jump(-HOUR);
  await believe(app, time);
  time.advance(290_000);
  t.match(await post(app), { deduplicated: true, event_id: first['event_id'] });
  time.advance(3_000_000);
  const second = await post(app);
  t.match(second, { deduplicated: false });
  t.same(await idsOf(app), [first['event_id'], second['event_id']], 'in the order in which they came');
});

for (const restart of [false, true]) {
  state(
    `set back by an hour${restart ? ' over a restart' : ''}: equal 64 minutes later is new`,
    async (t) => {
      const time = fakeTime();
      const env = { DATA_DIR: t.testdir(), EVENT_TTL_SECONDS: '7200' };
      let app = await startTestApp(t, env, time);
      const first = await post(app);
      const keyed = await create(app, 1);
      time.jump(-HOUR);
      if (restart) {
        await app.app.close();
        app = await startTestApp(t, env, time);
      } else await believe(app, time);
      t.match(await post(app), { deduplicated: true, event_id: first['event_id'] });
      t.equal((await create(app, 1)).headers.get('idempotent-replayed'), 'true');
      time.advance(64 * 60_000);
      const second = await post(app);
      t.match(second, { deduplicated: false });
      const wanted = [first['event_id'], keyed.json['event_id'], second['event_id']];
      t.same(await idsOf(app), wanted);
      t.equal((await create(app, 2)).status, 422, 'keys live for two hours');
      time.advance(70 * 60_000);
      t.equal((await create(app, 2)).status, 201);
    },
  );
}

state('a clock that is eight days ahead at start: nothing is deleted for a day of uptime', async (t) => {
  const { time, path, open } = setUp(t);
  const before = await open();
  for (let i = 0; i < 3; i++) await before.add();
  await before.store.sweep();
  await before.store.close();
  time.jump(9 * DAY);
  const { store, warnings, inbox } = await open();
  t.same(await inbox(), [], 'hidden at once');
  for (let hours = 0; hours < 24; hours++) {
    t.equal(await store.sweep(), 0, `${String(hours)} hours`);
    t.equal(warnings.length, hours + 1, 'said each hour');
    time.advance(HOUR);
  }
  t.match(warnings[0], HELD);
  t.match(warnings[0], /the clock is 777600 s ahead of the time that has passed/);
  t.equal(await store.sweep(), 3, 'then it is believed');
  t.match(warnings.at(-1), /^expired events are deleted again/);
  t.equal([...openRaw(t, path).events.getKeys({})].length, 0);
});

state('a wrong clock that has dated an event is not believed after a restart either', async (t) => {
  const { time, open } = setUp(t);
  const first = await open();
  const old = await first.add();
  await first.store.sweep();
  time.jump(9 * DAY);
  first.clock.now();
  time.advance(10_000);
  const ahead = await first.add();
  t.equal(await first.store.sweep(), 0);
  await first.store.close();
  const second = await open();
  t.equal(await second.store.sweep(), 0);
  await second.store.close();
  time.jump(-9 * DAY);
  const third = await open();
  t.equal(await third.store.sweep(), 0);
  t.strictSame(await third.inbox(), [old, ahead]);
});

state('a clock that is ahead for one sweep deletes no claim', async (t) => {
  const { time, open } = setUp(t);
  const { store, clock, event } = await open();
  const digits = '0'.repeat(64);
  const append = () => {
    const one = event({ createdAt: clock.tick() });
    return store.append(one, { key: digits, fingerprint: digits, expiresAt: one.createdAt + 300e6 });
  };
  t.match(await append(), { outcome: 'stored' });
  time.jump(9 * DAY);
  clock.now();
  time.advance(10_000);
  await store.sweep();
  time.jump(-9 * DAY);
  clock.now();
  time.advance(10_000);
  t.match(await append(), { outcome: 'duplicate' });
  time.advance(290_000);
  t.match(await append(), { outcome: 'stored' });
});

state(
  'stopped every night: deletion lags by two days at most, whatever the clock shows in between',
  async (t) => {
    const { time, open } = setUp(t);
    let kept = 0;
    for (let days = 0; days < 30; days++) {
      const { store, add } = await open();
      await add();
      kept++;
      for (let hours = 0; hours < 12; hours++) {
        kept -= await store.sweep();
        time.advance(HOUR);
      }
      await store.close();
      time.jump(12 * HOUR);
      t.ok(kept <= 8 + 1 + 2, `${String(kept)} days kept`);
    }
    t.ok(kept >= 8);
  },
);

state('a restart within an hour delays no deletion and logs nothing', async (t) => {
  const { time, open } = setUp(t);
  const first = await open();
  await first.add();
  for (let hours = 0; hours < 8 * 24 - 1; hours++) {
    time.advance(HOUR);
    await first.store.sweep();
  }
  await first.store.close();
  time.jump(HOUR);
  const second = await open();
  await second.store.sweep();
  time.advance(10 * HOUR);
  t.equal(await second.store.sweep(), 1);
  t.same([...first.warnings, ...second.warnings], []);
});

state(
  'EVENT_TTL_SECONDS lowered by mistake deletes nothing for a day of uptime, restarts included',
  async (t) => {
    const { time, open } = setUp(t);
    const first = await open();
    const event = await first.add();
    await first.store.sweep();
    time.advance(3 * DAY);
    await first.store.sweep();
    await first.store.close();
    for (let hours = 0; hours < 23; hours++) {
      const mistaken = await open(60e6);
      t.equal(await mistaken.store.sweep(), 0, `${String(hours)} hours`);
      t.same(await mistaken.inbox(), [], 'hidden');
      t.match(mistaken.warnings, [/EVENT_TTL_SECONDS was 604800 before and is 60 now/]);
      time.advance(HOUR);
      t.equal(await mistaken.store.sweep(), 0);
      await mistaken.store.close();
    }
    const corrected = await open();
    t.strictSame(await corrected.inbox(), [event]);
    await corrected.store.sweep();
    await corrected.store.close();
    const meant = await open(60e6);
    for (let hours = 0; hours < 24; hours++) {
      t.equal(await meant.store.sweep(), 0, 'the day begins anew');
      time.advance(HOUR);
    }
    t.equal(await meant.store.sweep(), 1);
  },
);

state('with a damaged record of its state, deletion waits for a day', async (t) => {
  const { time, path, open } = setUp(t);
  const first = await open();
  await first.add();
  await first.store.sweep();
  await first.store.close();
  const meta = openRawMeta(t, path);
  const key = Buffer.from('retention');
  const value = Buffer.from(meta.get(key) ?? '');
  value[3] = (value[3] ?? 0) ^ 1;
  await meta.put(key, value);
  time.advance(9 * DAY);
  const { store, warnings } = await open();
  t.equal(await store.sweep(), 0);
  t.match(warnings, [HELD]);
  time.advance(DAY);
  t.equal(await store.sweep(), 1);
});

/** A folder, its time, and stores on it with the clock of the service. */
function setUp(t: Test) {
  const time = fakeTime();
  const path = t.testdir();
  return {
    time,
    path,
    open: async (eventTtl = WEEK) => {
      const clock = createClock({ time });
      const { monotonicMs } = time;
      const opened = await openTestStore(t, path, { now: () => clock.now(), monotonicMs, eventTtl });
      clock.startAfter(opened.store.newestTime);
      return { ...opened, clock, add: () => opened.add({ createdAt: clock.tick() }) };
    },
  };
}

/** Resolves once the service has swept, which it does every 10 s, and said that it holds back what has expired. */
async function swept(app: TestApp): Promise<void> {
  for (const until = performance.now() + 60_000; performance.now() < until;) {
    if (app.logged.some(({ msg }) => HELD.test(String(msg)))) return;
    await sleep(20);
  }
  throw new Error('no sweep has said that it holds anything back');
}

function stepsOf(app: TestApp): unknown[] {
  return app.logged.flatMap(({ msg, step_seconds }) => (step_seconds === undefined ? [] : [msg]));
}

async function post(app: TestApp) {
  return (await app.request('POST', '/events', { event_type: 't', payload: {} })).json;
}

function create(app: TestApp, n: number) {
  const event = { source: 's', event_type: 'keyed', payload: { n } };
  return app.request('POST', '/v1/events', event, { 'idempotency-key': 'k' });
}
