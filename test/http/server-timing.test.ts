import t from 'tap';
import type { TestApp } from '../support/app.ts';
import { startDescribedApp } from '../support/described.ts';
import { sendRaw } from '../support/raw.ts';

const EVENT = { source: 's', event_type: 't', payload: {} };

/** The durations of a reply in milliseconds; undefined if it says nothing of them. */
async function timingOf(
  app: TestApp,
  ...request: Parameters<TestApp['request']>
): Promise<Record<string, number> | undefined> {
  const header = (await app.request(...request)).headers.get('server-timing');
  if (header === null) return undefined;
  return Object.fromEntries(
    header.split(', ').map((metric) => {
      const [, name = '', ms] = /^(\w+);dur=(\d+\.\d{3})$/.exec(metric) ?? [];
      return [name, Number(ms)];
    }),
  );
}

void t.test('a reply says where its time went, if the key was accepted', async (t) => {
  const app = await startDescribedApp(t);
  for (const [method, path, body, names] of [
    ['POST', '/v1/events', EVENT, ['auth', 'store', 'total']],
    ['POST', '/events', { event_type: 't', payload: {} }, ['auth', 'store', 'total']],
    ['GET', '/v1/inbox', undefined, ['auth', 'store', 'total']],
    ['GET', '/v1/events/0b1d4f0e-9d0a-4c9e-8a58-6a1f6c0e2b77', undefined, ['auth', 'store', 'total']],
    ['POST', '/v1/events', {}, ['auth', 'total']],
    ['POST', '/v1/events', 'x'.repeat(600_000), ['auth', 'total']],
    ['GET', '/v1/inbox?limit=0', undefined, ['auth', 'total']],
  ] as const) {
    const timing = (await timingOf(app, method, path, body)) ?? {};
    t.same(Object.keys(timing), names, `${method} ${path}`);
    const { auth = NaN, store = 0, total = NaN } = timing;
    // Each is rounded for itself.
    t.ok(auth + store <= total + 0.002, JSON.stringify(timing));
  }
});

void t.test('others learn nothing of times', async (t) => {
  const app = await startDescribedApp(t);
  const wrong = { 'x-api-key': 'trg_wrong' };
  t.equal(await timingOf(app, 'GET', '/v1/inbox', undefined, wrong), undefined);
  t.equal(await timingOf(app, 'GET', '/v1/health'), undefined);
  t.equal(await timingOf(app, 'GET', '/v1/nowhere'), undefined);
  const twice = 'GET /v1/inbox HTTP/1.1\r\nHost: x\r\nX-API-Key: a\r\nX-API-Key: a\r\n\r\n';
  t.notMatch((await sendRaw(app.url, [twice])).text, /server-timing/i);
});
