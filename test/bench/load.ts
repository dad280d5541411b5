import type { RequestListener } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import t from 'tap';
import { runAppends } from '../../bench/load/append.ts';
import { runClosedLoop } from '../../bench/load/closed.ts';
import type { Call, Measurement } from '../../bench/load/job.ts';
import { runFill, runSaturation } from '../../bench/load/saturate.ts';
import { runIdle } from '../../bench/load/idle.ts';
import { runSteady } from '../../bench/load/steady.ts';
import type { Traffic } from '../../bench/load/traffic.ts';
import { TRAFFIC } from '../../bench/load/traffic.ts';
import { passed } from '../../bench/report/results.ts';

const CREATE: Call = { method: 'POST', path: '/v1/events', body: '{}', status: 201 };
const TIMED = { warmUpSeconds: 0.1, seconds: 0.4, key: 'k', pid: process.pid };

async function serve(t: Test, answer: RequestListener): Promise<string> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      answer(request, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

const constant: Traffic = { constant: CREATE, next: () => CREATE };
const varying: Traffic = { next: () => CREATE };

const loads: Record<string, (url: string) => Promise<Measurement>> = {
  'closed loop, one request': (url) => runClosedLoop({ ...TIMED, url, clients: 4 }, constant),
  'closed loop, varying requests': (url) => runClosedLoop({ ...TIMED, url, clients: 4 }, varying),
  'open loop': (url) => runSteady({ ...TIMED, url, perSecond: 200 }, constant),
  saturation: (url) => runSaturation({ ...TIMED, url, clients: 4 }, CREATE),
};

for (const [name, run] of Object.entries(loads)) {
  void t.test(`${name}: right answers are counted, wrong ones are errors`, async (t) => {
    const right = await run(
      await serve(t, (_, response) => {
        response.writeHead(201, { 'content-length': '2' }).end('{}');
      }),
    );
    t.ok(right.requests > 20, String(right.requests));
    t.match(right, { errors: 0, firstError: null });
    t.ok(right.serverCores === null || right.serverCores >= 0);
    const wrong = await run(
      await serve(t, (_, response) => {
        response.writeHead(503, { 'content-length': '2' }).end('{}');
      }),
    );
    t.ok(wrong.requests > 20, String(wrong.requests));
    t.equal(wrong.errors, wrong.requests);
    t.match(wrong.firstError, /503/);
  });
}

void t.test('saturation: clients that are lost during the warm-up fail the row', async (t) => {
  let connections = 0;
  const server = createServer((_, response) => {
    response.writeHead(201, { 'content-length': '2' }).end('{}');
  }).on('connection', (socket) => {
    if (++connections <= 2) socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const found = await runSaturation({ ...TIMED, url, clients: 4 }, CREATE);
  t.ok(found.requests > 20, 'the others were measured');
  t.equal(found.errors, 2);
  t.match(found.firstError, /lost during the warm-up/);
  t.equal(passed({ suite: 's', store: 'embedded', what: 'w', checks: [], rounds: [found] }), false);
});

void t.test('open loop: a stall is charged to everybody who would have come meanwhile', async (t) => {
  const begin = performance.now();
  const url = await serve(t, (_, response) => {
    // All that comes within 0.8 s is answered at its end.
    void sleep(Math.max(0, begin + 800 - performance.now())).then(() => {
      response.writeHead(201, { 'content-length': '2' }).end('{}');
    });
  });
  const { latency, requests } = await runSteady(
    { url, key: 'k', pid: null, perSecond: 100, warmUpSeconds: 0, seconds: 1 },
    constant,
  );
  t.ok(requests >= 99 && requests <= 101, String(requests));
  t.ok(latency.p50 > 100, `p50 ${String(latency.p50)} ms`);
});

void t.test(
  'open loop: answers in chunks are read to their end, and closed connections are replaced',
  async (t) => {
    const bodies = new Set<string>();
    const url = await serve(t, (_, response) => {
      response.writeHead(201, { connection: 'close' }).write('{"a":"\u00fc');
      setImmediate(() => response.end('\u{1F600}"}'));
    });
    const { requests, errors, firstError } = await runSteady(
      { ...TIMED, url, perSecond: 100 },
      { next: () => CREATE, learn: (_, body) => bodies.add(body) },
    );
    t.ok(requests > 20, String(requests));
    t.equal(errors, 0, String(firstError));
    t.strictSame([...bodies], ['{"a":"\u00fc\u{1F600}"}']);
  },
);

void t.test('open loop: what was due when no connection was free is sent late, not forgotten', async (t) => {
  const begin = performance.now();
  const url = await serve(t, (_, response) => {
    void sleep(Math.max(0, begin + 900 - performance.now())).then(() => {
      response.writeHead(201, { 'content-length': '2' }).end('{}');
    });
  });
  const { latency, requests, errors } = await runSteady(
    { url, key: 'k', pid: null, perSecond: 3_000, warmUpSeconds: 0, seconds: 0.5 },
    constant,
  );
  t.equal(requests + errors, 1_500);
  t.ok(latency.p50 > 300, `p50 ${String(latency.p50)} ms`);
});

void t.test('without requests: each is timed from when it would have been due', (t) => {
  const { requests, errors, latency, storeCores } = runIdle({
    ...{ url: '', key: '', pid: null, storePid: process.pid },
    ...{ perSecond: 100, warmUpSeconds: 0.1, seconds: 0.3 },
  });
  t.ok(requests >= 29 && requests <= 31, String(requests));
  t.equal(errors, 0);
  t.ok(latency.p50 < 10, 'not from the due time of another: they are 10 ms apart');
  t.ok(storeCores === null || storeCores > 0.1, 'it spins');
  t.end();
});

void t.test('an inbox is filled with as many events as asked for, or not at all', async (t) => {
  let received = 0;
  const url = await serve(t, (_, response) => {
    response.writeHead(++received <= 150 ? 201 : 503, { 'content-length': '2' }).end('{}');
  });
  await runFill({ url, key: 'k', pid: null, clients: 8, count: 100 }, CREATE);
  t.equal(received, 100);
  await t.rejects(runFill({ url, key: 'k', pid: null, clients: 8, count: 100 }, CREATE), /503/);
});

void t.test('the mixed load is 10 create, 3 inbox, 2 get, 1 acknowledge and 1 health of 17', (t) => {
  const mixed = TRAFFIC['mixed']?.();
  if (mixed === undefined) throw new Error('no mixed load');
  let made = 0;
  const kinds = new Map<string, number>();
  for (let i = 0; i < 17 * 1_000; i++) {
    const call = mixed.next();
    const kind = `${call.method} ${call.path.replace(/(?<=events\/)[^/]+/, 'ID')}`;
    // The first ones are for knowing enough events.
    if (i >= 17 * 500) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    if (call.body !== undefined) mixed.learn?.(call, JSON.stringify({ event_id: `e${String(++made)}` }));
  }
  t.strictSame(Object.fromEntries([...kinds].sort()), {
    'GET /v1/events/ID': 1_000,
    'GET /v1/health': 500,
    'GET /v1/inbox?limit=50': 1_500,
    'POST /v1/events': 5_000,
    'POST /v1/events/ID/ack': 500,
  });
  t.end();
});

void t.test('a closed loop at a rate sends no more than that, and times single responses', async (t) => {
  const url = await serve(t, (_, response) => {
    void sleep(20).then(() => response.writeHead(201, { 'content-length': '2' }).end('{}'));
  });
  const { requests, errors, latency } = await runClosedLoop(
    { ...TIMED, url, clients: 4, perSecond: 40, warmUpSeconds: 0, seconds: 2.5 },
    constant,
  );
  t.equal(errors, 0);
  // A burst at the start of each second, of which there are three.
  t.ok(requests >= 80 && requests <= 120, String(requests));
  t.ok(latency.p95 >= 19, `p95 ${String(latency.p95)} ms`);
  t.not(latency.p95, Math.round(latency.p95), 'not in whole milliseconds, as in its own table');
});

void t.test('the store without HTTP: events of as many tenants as asked for', async (t) => {
  const found = await runAppends({ tenants: 3, stored: 256, warmUpSeconds: 0, seconds: 0.2 });
  t.ok(found.requests >= 256, String(found.requests));
  t.equal(found.errors, 0);
  t.ok(found.writtenBytes === null || found.writtenBytes > 256 * 500, 'with their payloads');
});
