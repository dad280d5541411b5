import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import t from 'tap';
import { createRecorder } from '../bench/harness/histogram.ts';
import { flatten, readCpu } from '../bench/harness/profiles.ts';
import { runClosedLoop } from '../bench/load/closed.ts';
import type { Call, Measurement } from '../bench/load/job.ts';
import { runFill, runSaturation } from '../bench/load/saturate.ts';
import { runIdle } from '../bench/load/idle.ts';
import { runSteady } from '../bench/load/steady.ts';
import type { Traffic } from '../bench/load/traffic.ts';
import { TRAFFIC } from '../bench/load/traffic.ts';
import { growthOf } from '../bench/memory.ts';
import { backlogPlot, clientsPlot, latencyPlot } from '../bench/plots.ts';
import type { Results, Row } from '../bench/results.ts';
import { checkLatency, checkRatio, median, passed } from '../bench/results.ts';
import { idleCores } from '../bench/suites.ts';

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

void t.test('no core is named where nothing is pinned', (t) => {
  const names = (...of: Parameters<typeof idleCores>) => idleCores(...of).map(({ what }) => what);
  t.strictSame(names('embedded', true), ['no requests, core of the server', 'no requests, core of the load']);
  t.strictSame(names('embedded', false), ['no requests, whichever core']);
  t.strictSame(names('dynamodb', true), ['no requests, whichever core']);
  t.end();
});

void t.test('a profile of the emulator needs one', async (t) => {
  for (const args of [
    ['--of', 'emulator'],
    ['--of', 'elsewhere', '--store', 'dynamodb'],
  ]) {
    const script = ['--import=./.ci/typescript.mjs', 'bench/profile.ts', ...args];
    const { code, stderr } = await promisify(execFile)(process.execPath, script).then(
      () => ({ code: 0, stderr: '' }),
      (error: unknown) => error as { code: number; stderr: string },
    );
    t.equal(code, 2);
    t.match(stderr, '--of takes service, or with --store dynamodb emulator');
  }
});

void t.test('plots: every curve has a look of its own, and its name is within the picture', (t) => {
  const { rows } = JSON.parse(readFileSync('docs/performance/results.json', 'utf8')) as Results;
  const plots = [latencyPlot('embedded'), latencyPlot('dynalite'), clientsPlot, backlogPlot];
  for (const plot of plots) {
    const svg = plot(rows) ?? '';
    const curves = svg.match(/<path [^>]*fill="none"[^>]*stroke-linejoin="bevel"[^>]*>/g) ?? [];
    const colours = curves.map((curve) => /stroke="([^"]+)"/.exec(curve)?.[1]);
    t.equal(new Set(colours).size, curves.length);
    const texts = svg.matchAll(
      /<text [^>]*text-anchor="start"[^>]* x="(\d+)" [^>]*translate\((\d+) [^>]*>([^<]+)/g,
    );
    const names = [...texts].map(([, x, left, name = '']) => ({ name, from: Number(x) + Number(left) }));
    t.equal(names.length, curves.length);
    const width = Number(/width="(\d+)"/.exec(svg)?.[1]);
    // A character of 13 px is some 7.5 px wide.
    for (const { name, from } of names) t.ok(from + name.length * 7.5 <= width, name);
  }
  t.end();
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

/** A round in which every response took that long. */
function round(ms: number, perSecond: number, errors = 0): Measurement {
  const recorder = createRecorder();
  recorder.record(ms);
  const latency = recorder.summary();
  return { requests: 1, errors, firstError: null, perSecond, latency, serverCores: null, storeCores: null };
}

void t.test('quantiles are those of single responses', (t) => {
  const recorder = createRecorder();
  for (let i = 1; i <= 1_000; i++) recorder.record(i / 10);
  const { p50, p95, p99, max } = recorder.summary();
  for (const [found, wanted] of [
    [p50, 50],
    [p95, 95],
    [p99, 99],
    [max, 100],
  ] as const) {
    t.ok(Math.abs(found / wanted - 1) < 0.002, `${String(found)} for ${String(wanted)}`);
  }
  t.end();
});

void t.test('targets are kept or missed by the median of the rounds', (t) => {
  const measured = { rounds: [round(5, 100), round(50, 300), round(6, 200)] };
  t.equal(median(measured, 'perSecond'), 200);
  t.match(checkLatency(measured, { quantile: 'p95', belowMs: 10 }), { target: 'p95 < 10 ms', pass: true });
  t.match(checkLatency(measured, { quantile: 'p95', belowMs: 6 }), { pass: false });
  const other = { rounds: [round(1, 400), round(1, 1_000), round(1, 100)] };
  t.match(checkRatio(measured, other, { to: 'floor', atLeast: 0.5 }), { found: '0.50 x', pass: true });
  t.match(checkRatio(measured, other, { to: 'floor', atLeast: 0.51 }), { pass: false });
  const row = { suite: 's', store: 'embedded', what: 'w', checks: [] } satisfies Partial<Row>;
  t.equal(passed({ ...row, ...measured }), true);
  t.equal(passed({ ...row, rounds: [round(1, 1, 1)] }), false, 'a wrong answer');
  t.equal(passed({ ...row, rounds: [{ ...round(1, 1), requests: 0 }] }), false, 'no answer');
  t.end();
});

void t.test('memory that leaks is told from memory that goes up and down', (t) => {
  const samples = (resident: (i: number) => number) =>
    Array.from({ length: 60 }, (_, i) => ({ minute: i, resident: resident(i), anonymous: 0 }));
  const { least } = growthOf(samples((i) => 100 + (i % 7)));
  t.equal(least, 1);
  const leak = growthOf(samples((i) => 100 + (i % 7) + i / 3));
  t.ok(leak.least > 1.05, String(leak.least));
  t.end();
});

void t.test('a profile is shared out to functions, without idle time', (t) => {
  const frame = (functionName: string) => ({ functionName, url: '', lineNumber: -1 });
  const profile = {
    nodes: [
      { id: 1, callFrame: frame('(root)'), children: [2, 3] },
      { id: 2, callFrame: frame('(idle)') },
      { id: 3, callFrame: frame('outer'), children: [4] },
      { id: 4, callFrame: frame('inner') },
    ],
    samples: [2, 3, 4, 4],
    timeDeltas: [100, 1, 2, 1],
  };
  t.match(flatten(readCpu(JSON.stringify(profile))), [
    { name: 'inner', self: 0.75, total: 0.75 },
    { name: 'outer', self: 0.25, total: 1 },
  ]);
  t.end();
});
