import t from 'tap';
import { createEventMetrics } from '../../src/metrics/event-metrics.ts';
import { createHistogram } from '../../src/metrics/families.ts';
import { createHttpMetrics } from '../../src/metrics/http-metrics.ts';
import { inboxFamilies, TOP_TENANTS } from '../../src/metrics/inbox-metrics.ts';
import type { EventStore } from '../../src/store/event-store.ts';
import type { InboxState } from '../../src/store/store-gauges.ts';

void t.test('a histogram counts cumulatively, with inclusive bounds', (t) => {
  const histogram = createHistogram([1, 10]);
  for (const value of [0.5, 1, 1.5, 10, 11]) histogram.observe(value);
  const values = histogram.values('x', { a: 'b' }, 1 / 1000);
  t.same(
    values.map(({ metricName, labels, value }) => [metricName, labels['le'], value]),
    [
      ['x_bucket', '0.001', 2],
      ['x_bucket', '0.01', 4],
      ['x_bucket', '+Inf', 5],
      ['x_sum', undefined, 0.024],
      ['x_count', undefined, 5],
    ],
  );
  t.end();
});

void t.test('a store whose events are counted still acknowledges leased ones by force', async (t) => {
  const acknowledgeMany: EventStore['acknowledgeMany'] = (_tenant, ids, at, force = false) =>
    Promise.resolve(
      ids.map(() => (force ? { outcome: 'acknowledged', acknowledgedAt: at } : { outcome: 'leased' })),
    );
  const { counted, families } = createEventMetrics(['v1']);
  const store = counted({ acknowledgeMany } as EventStore, 'v1');
  t.match(await store.acknowledgeMany('acme', ['a', 'b'], 7, true), [
    { outcome: 'acknowledged' },
    { outcome: 'acknowledged' },
  ]);
  t.match(await store.acknowledgeMany('acme', ['c'], 8), [{ outcome: 'leased' }]);
  const acknowledged = families.find(({ name }) => name === 'triggers_events_acknowledged_total');
  t.match(await acknowledged?.values(), [{ value: 2 }]);
});

void t.test('a client that went away is counted, and not timed', async (t) => {
  const { hooks, families } = createHttpMetrics(() => 100);
  const match = { endpoint: { path: '/v1/inbox' } };
  hooks.onRequest();
  hooks.onResponse({ match, method: 'GET', status: null, startedAt: 0, heldMs: 0 });
  const [requests, latency, inFlight] = await Promise.all(families.map(async ({ values }) => values()));
  t.same(requests, [{ labels: { route: '/v1/inbox', method: 'GET', status: 'aborted' }, value: 1 }]);
  t.equal(latency?.at(-1)?.value, 0);
  t.equal(inFlight?.[0]?.value, 0);
});

/** Families over a store of the test. */
function inboxes(read: () => Promise<readonly InboxState[]>) {
  const clock = { ms: 0 };
  const families = inboxFamilies({ read, now: () => 100e6, monotonicMs: () => clock.ms });
  const values = async (name: string) =>
    (await families.find((family) => family.name === name)?.values()) ?? [];
  return { clock, values };
}

void t.test('of many tenants only the top ones are named, and the total has all', async (t) => {
  const states = Array.from({ length: 100 }, (_, n) => ({
    tenant: `t${String(n)}`,
    pending: n,
    oldest: n * 1e6,
  }));
  const { values } = inboxes(() => Promise.resolve(states));
  const deepest = await values('triggers_inbox_tenant_events');
  t.equal(deepest.length, TOP_TENANTS);
  t.same(deepest[0], { labels: { tenant: 't99' }, value: 99 });
  const oldest = await values('triggers_inbox_tenant_oldest_event_age_seconds');
  t.same(oldest[0], { labels: { tenant: 't0' }, value: 100 });
  t.same(await values('triggers_inbox_events'), [{ labels: {}, value: 4_950 }]);
});

void t.test('inboxes are read at most every 30 s, and a failure leaves no numbers', async (t) => {
  let reads = 0;
  let fails = false;
  const { clock, values } = inboxes(() => {
    reads++;
    return fails ? Promise.reject(new Error('down')) : Promise.resolve([]);
  });
  t.equal(reads, 0, 'nobody scrapes');
  await Promise.all([values('triggers_inbox_events'), values('triggers_inbox_tenants')]);
  clock.ms = 29_999;
  t.same(await values('triggers_inbox_events'), [{ labels: {}, value: 0 }]);
  t.equal(reads, 1);
  clock.ms = 30_000;
  fails = true;
  t.same(await values('triggers_inbox_events'), []);
  t.equal(reads, 2);
});

void t.test(
  'a scrape does not wait for a store that takes its time: it gets the previous numbers',
  async (t) => {
    let answer: (states: readonly InboxState[]) => void = () => undefined;
    const { clock, values } = inboxes(() => new Promise((resolve) => (answer = resolve)));
    const first = values('triggers_inbox_tenants');
    answer([{ tenant: 'a', pending: 1, oldest: 0 }]);
    t.same(await first, [{ labels: {}, value: 1 }]);
    clock.ms = 60_000;
    t.same(await values('triggers_inbox_tenants'), [{ labels: {}, value: 1 }]);
  },
);
