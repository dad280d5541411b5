import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import type { Answer, TestApp } from '../support/app.ts';
import { isOneFirst, untilAnswered } from '../support/harness.ts';

const CONNECTIONS = 64;
const REQUESTS = 200;

/**
 * What two instances over one store guarantee together.
 *
 * @param startTwo two services that share their tables.
 */
export function sharedContract(t: Test, startTwo: (t: Test) => Promise<readonly [TestApp, TestApp]>): void {
  void t.test('200 equal events at once, to two instances, are one', async (t) => {
    const apps = await startTwo(t);
    const payload = { nonce: randomUUID() };
    const { answers, refused } = await flood(apps, (app) =>
      app.request('POST', '/events', { event_type: 't', payload }),
    );
    t.same(new Set(answers.map(({ status }) => status)), new Set([200]));
    const fresh = answers.filter(({ json }) => json['deduplicated'] === false);
    isOneFirst(t, fresh.length, refused);
    await isOne(t, apps, answers);
  });

  void t.test('200 requests with one idempotency key, to two instances, are one event', async (t) => {
    const apps = await startTwo(t);
    const event = { source: 's', event_type: 't', payload: {} };
    const headers = { 'idempotency-key': randomUUID() };
    const { answers, refused } = await flood(apps, (app) =>
      app.request('POST', '/v1/events', event, headers),
    );
    t.same(new Set(answers.map(({ status }) => status)), new Set([201]));
    const fresh = answers.filter((answer) => answer.headers.get('idempotent-replayed') === null);
    isOneFirst(t, fresh.length, refused);
    await isOne(t, apps, answers);
    const other = await apps[1].request('POST', '/v1/events', { ...event, payload: { other: 1 } }, headers);
    t.equal(other.status, 422);
  });

  void t.test('an event that one instance stores wakes who waits at the other', async (t) => {
    const [a, b] = await startTwo(t);
    // The first wait tells the others of itself.
    for (const wait_seconds of [2, 20]) {
      const waiting = b.request('POST', '/v1/inbox/lease', { wait_seconds });
      await sleep(1_000);
      const from = performance.now();
      const id = await a.send();
      t.match((await waiting).json['events'], [{ event_id: id }]);
      const ms = performance.now() - from;
      // It looks by itself every 5 s.
      t.ok(ms < 4_000, `after ${ms.toFixed(0)} ms`);
    }
  });

  void t.test('what one instance acknowledges is acknowledged for the other', async (t) => {
    const [a, b] = await startTwo(t);
    const id = await a.send();
    const answers = await Promise.all([a, b, a, b].map((app) => app.request('POST', `/v1/events/${id}/ack`)));
    t.same(answers.map(({ status }) => status).toSorted(), [200, 409, 409, 409]);
  });
}

async function flood(
  apps: readonly [TestApp, TestApp],
  request: (app: TestApp) => Promise<Answer>,
): Promise<{ answers: Answer[]; refused: number }> {
  const answers: Answer[] = [];
  let [sent, refused] = [0, 0];
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (sent < REQUESTS) {
        const app = sent++ % 2 === 0 ? apps[0] : apps[1];
        const { answer, refused: again } = await untilAnswered(() => request(app));
        refused += again;
        answers.push(answer);
      }
    }),
  );
  return { answers, refused };
}

async function isOne(t: Test, apps: readonly [TestApp, TestApp], answers: readonly Answer[]): Promise<void> {
  t.equal(answers.length, REQUESTS);
  const ids = new Set(answers.map(({ json }) => String(json['event_id'])));
  t.equal(ids.size, 1);
  for (const app of apps) {
    const inbox = await app.request('GET', '/inbox');
    t.same(
      (inbox.json['events'] as { event_id: string }[]).map((event) => event.event_id),
      [...ids],
    );
  }
}
