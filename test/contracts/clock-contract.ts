import type { Test } from 'tap';
import type { Json, TestApp } from '../support/app.ts';
import { atOnce } from '../support/harness.ts';
import type { ServiceHarness } from '../support/harness.ts';
import { fakeTime } from '../support/time.ts';
import type { FakeTime } from '../support/time.ts';

/** Smaller than the difference at which a store on other machines refuses writes. */
const STEP = 240_000;

/** What both contracts guarantee while the wall clock of a running service is set, on any store. */
export function clockContract(t: Test, { start, shown = atOnce }: ServiceHarness): void {
  const setUp = async (t: Test) => {
    const time = fakeTime();
    const env = { DEDUP_WINDOW_SECONDS: '60', EVENT_TTL_SECONDS: '600' };
    return { time, app: await start(t, env, time) };
  };

  void t.test(
    'ahead, one POST of each contract, and back: events are dated right, and windows end in time',
    async (t) => {
      const { time, app } = await setUp(t);
      time.jump(3_600_000);
      const first = await post(app);
      const keyed = await create(app, 1);
      time.jump(-3_600_000);
      isNear(t, time, first['timestamp']);
      isNear(t, time, keyed.json['created_at']);
      time.advance(59_000);
      t.match(await post(app), { deduplicated: true, event_id: first['event_id'] });
      time.advance(2_000);
      const second = await post(app);
      t.match(second, { deduplicated: false });
      isNear(t, time, second['timestamp']);
      t.equal((await create(app, 2)).status, 422);
      await shown(app, 3);
      t.same(await idsOf(app), [first['event_id'], keyed.json['event_id'], second['event_id']]);
      time.advance(540_000);
      t.equal((await create(app, 2)).status, 201);
    },
  );

  void t.test('ahead until it is believed, then back: windows end in time', async (t) => {
    const { time, app } = await setUp(t);
    time.jump(STEP);
    await believe(app, time);
    const first = await post(app);
    t.equal((await create(app, 1)).status, 201);
    time.jump(-STEP);
    await believe(app, time);
    time.advance(40_000);
    t.match(await post(app), { deduplicated: true, event_id: first['event_id'] });
    time.advance(20_000);
    t.match(await post(app), { deduplicated: false }, '70 s at 0.9');
    t.equal((await create(app, 2)).status, 422);
    time.advance(600_000);
    t.equal((await create(app, 2)).status, 201, '670 s at 0.9');
  });

  void t.test('set back: windows end in time, and the inbox keeps its order', async (t) => {
    const { time, app } = await setUp(t);
    const first = await post(app);
    const keyed = await create(app, 1);
    time.jump(-STEP);
    await believe(app, time);
    time.advance(45_000);
    t.match(await post(app), { deduplicated: true, event_id: first['event_id'] });
    time.advance(15_000);
    const second = await post(app);
    t.match(second, { deduplicated: false }, '70 s at 0.9');
    await shown(app, 3);
    t.same(await idsOf(app), [first['event_id'], keyed.json['event_id'], second['event_id']]);
    t.equal((await create(app, 2)).status, 422);
    time.advance(600_000);
    t.equal((await create(app, 2)).status, 201, '670 s at 0.9');
  });
}

/** Lets the service read the wall clock, and read it again once it has stood for long enough. */
export async function believe(app: TestApp, time: FakeTime): Promise<void> {
  await app.request('GET', '/v1/health');
  time.advance(10_000);
  const { json } = await app.request('GET', '/v1/health');
  const seen = Date.parse(String(json['timestamp']));
  if (seen !== time.wallMs()) throw new Error(`not believed: ${String(seen - time.wallMs())} ms`);
}

export async function idsOf(app: TestApp): Promise<unknown[]> {
  const { json } = await app.request('GET', '/inbox');
  return (json['events'] as Json[]).map((event) => event['event_id']);
}

async function post(app: TestApp): Promise<Json> {
  return (await app.request('POST', '/events', { event_type: 't', payload: {} })).json;
}

function create(app: TestApp, n: number) {
  const event = { source: 's', event_type: 'keyed', payload: { n } };
  return app.request('POST', '/v1/events', event, { 'idempotency-key': 'k' });
}

function isNear(t: Test, time: FakeTime, written: unknown): void {
  const off = Date.parse(String(written)) - time.trueMs();
  t.ok(Math.abs(off) < 3_000, `${String(off)} ms off`);
}
