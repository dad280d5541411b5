import t from 'tap';
import { LOCAL_KEY } from '../../../src/access/local.ts';
import { Triggers } from '../../../src/client/client.ts';
import type { HandlerContext } from '../../../src/client/consume.ts';
import type { LeasedEvent } from '../../../src/client/lease.ts';
import { Reject, Release } from '../../../src/client/verdict.ts';
import { startTestApp } from '../../support/app.ts';

const { url: baseUrl } = await startTestApp(t);
const { events, inbox, quarantine } = new Triggers({ baseUrl, apiKey: LOCAL_KEY });

/** Events of a type of its own, so that runs do not meet. */
async function send(count: number): Promise<string> {
  const eventType = `e2e-${String(Date.now())}-${String(Math.random())}`;
  const list = Array.from({ length: count }, (_, n) => ({ source: 'e2e', eventType, payload: { n } }));
  t.strictSame((await events.sendBatch(list)).summary, { created: count });
  return eventType;
}

void t.test('three consumers handle each event once', async (t) => {
  const eventType = await send(300);
  const seen: unknown[] = [];
  await new Promise<void>((resolve) => {
    for (let n = 0; n < 3; n++) {
      const consumer = inbox.consume(
        async ({ payload }) => {
          await new Promise(setImmediate);
          if (seen.push(payload['n']) === 300) resolve();
        },
        { eventType },
      );
      t.teardown(() => consumer.stop());
    }
  });
  t.equal(new Set(seen).size, 300);
  t.equal(seen.length, 300);
});

void t.test('what handlers throw, and what a stop gives back', async (t) => {
  const eventType = await send(4);
  const attempts: unknown[] = [];
  let done = (): void => undefined;
  const isDone = new Promise<void>((resolve) => (done = resolve));
  const handler = async ({ payload: { n } }: LeasedEvent, { attempt, signal }: HandlerContext) => {
    attempts.push([n, attempt]);
    if (n === 0) throw new Reject('never');
    if (n === 1 && attempt === 1) throw new Error('once');
    if (n === 2 && attempts.length < 5) throw new Release({ delaySeconds: 1, failed: false });
    if (n === 3) {
      // Held until it is given back.
      await new Promise((resolve) => {
        signal.addEventListener('abort', resolve);
      });
    }
    if (attempts.length === 6) done();
  };
  const consumer = inbox.consume(handler, { eventType, leaseSeconds: 4, backoff: () => 1 });
  await isDone;
  // Longer than a lease runs: it was extended.
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  await consumer.stop({ drainMs: 0 });
  t.match(
    attempts.slice(0, 4),
    [0, 1, 2, 3].map((n) => [n, 1]),
  );
  t.strictSame(attempts.slice(4).sort(), [
    [1, 2],
    [2, 1],
  ]);

  const left = await inbox.lease({ eventType });
  t.match(left.events, [{ payload: { n: 3 }, lease: { attempt: 1 } }], 'uncounted');
  const settled = await inbox.settle({ ack: left.events.map(({ lease }) => lease.token) });
  t.strictSame(settled.summary, { acknowledged: 1 });

  const rejected = [];
  for await (const event of quarantine.list({ eventType })) rejected.push(event);
  t.match(rejected, [{ payload: { n: 0 }, status: 'quarantined', lastReason: 'never' }]);
  const redriven = await quarantine.redrive(rejected.map(({ eventId }) => eventId));
  t.strictSame(redriven.summary, { redriven: 1 });
  t.match((await inbox.lease({ eventType })).events, [{ payload: { n: 0 }, lease: { attempt: 1 } }]);
});
