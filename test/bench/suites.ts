import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import t from 'tap';
import { passed } from '../../bench/report/results.ts';
import { create, createV1 } from '../../bench/suites/create.ts';
import type { Setting } from '../../bench/suites/setting.ts';

/** A service that answers every POST rightly, after so many milliseconds. */
async function settingOf(t: Test, answerMs: number, store: Setting['store']): Promise<Setting> {
  const server = createServer((request, response) => {
    const status = request.url === '/events' ? 200 : 201;
    request.resume().on('end', () => {
      void sleep(answerMs).then(() => response.writeHead(status, { 'content-length': '2' }).end('{}'));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  return {
    ...{ store, storeLabel: store, dynamodb: null, rounds: 1, withTargets: true, mostPending: 0 },
    times: { warmUpSeconds: 0, seconds: 1 },
    start: () => Promise.resolve({ url, key: 'k', pid: null, moreKeys: [], stop: () => Promise.resolve() }),
    progress: () => undefined,
  };
}

void t.test('POST has to keep its targets by the open loop and by autocannon', async (t) => {
  const slow = { 'create-v1': { embedded: 40, dynamodb: 60 }, create: { embedded: 40 } };
  const wanted = {
    'create-v1': { embedded: ['p95 < 10 ms', 'p99 < 25 ms'], dynamodb: ['p95 < 30 ms'] },
    create: { embedded: ['p95 < 10 ms'] },
  };
  for (const suite of [createV1, create]) {
    const name = suite.name as keyof typeof slow;
    for (const [store, answerMs] of Object.entries(slow[name])) {
      const setting = await settingOf(t, answerMs, store as 'embedded' | 'dynamodb');
      const rows = await suite.run(setting);
      const path = name === 'create' ? '/events' : '/v1/events';
      t.same(
        rows.map(({ what }) => what),
        [`POST ${path}`, `POST ${path}, autocannon`],
      );
      for (const row of rows) {
        const targets = wanted[name][store as 'embedded'];
        t.same(
          row.checks.map(({ target, pass }) => [target, pass]),
          targets.map((target) => [target, false]),
          row.what,
        );
        t.equal(row.rounds[0]?.errors, 0, 'the answers were right');
        t.equal(passed(row), false, 'which fails the run');
      }
    }
  }
});
