import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { v1WaitContract } from '../contracts/v1-wait-contract.ts';
import { startDescribedApp } from '../support/described.ts';

v1WaitContract(t, { start: startDescribedApp });

void t.test('a drain answers all who wait, with what there is', async (t) => {
  const app = await startDescribedApp(t, { SHUTDOWN_GRACE_SECONDS: '10' });
  const from = performance.now();
  const waiting = [
    app.request('POST', '/v1/inbox/lease', { wait_seconds: 20 }),
    app.request('GET', '/v1/inbox?wait_seconds=20'),
  ];
  await sleep(200);
  await app.app.close();
  for (const answer of await Promise.all(waiting)) {
    t.equal(answer.status, 200);
    t.same(answer.json['events'], []);
  }
  t.ok(performance.now() - from < 10_000);
});

void t.test('the time of a wait is no latency, and who waits is counted', async (t) => {
  const app = await startDescribedApp(t, { METRICS_PORT: '0' });
  const metric = async (line: RegExp): Promise<number> => {
    const text = await (await fetch(app.app.metricsUrl ?? '')).text();
    return Number(line.exec(text)?.[1] ?? NaN);
  };
  const waiting = app.request('GET', '/v1/inbox?wait_seconds=2');
  await sleep(200);
  t.equal(await metric(/^triggers_http_requests_waiting (\d+)$/m), 1);
  await waiting;
  t.equal(await metric(/^triggers_http_requests_waiting (\d+)$/m), 0);
  const sum = /^triggers_http_request_duration_seconds_sum\{route="\/v1\/inbox",method="GET"\} ([\d.e-]+)$/m;
  const seconds = await metric(sum);
  t.ok(seconds >= 0 && seconds < 1, `${String(seconds)} s of latency`);
});
