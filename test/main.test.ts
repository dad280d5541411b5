import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { LOCAL_KEY } from '../src/access/local.ts';
import { makeStore } from './support/embedded.ts';
import { jsonLines, spawnMain, startOnTerminal, startService } from './support/process.ts';
import { sendRaw } from './support/raw.ts';

// Much of their time they wait for a service to start or to end.
t.jobs = 2;

const HEADERS = { 'x-api-key': LOCAL_KEY };

void t.test('a wrong configuration ends the start and names every bad variable', async (t) => {
  const { ended, output } = spawnMain(t, { PORT: 'eighty', LOG_LEVEL: 'loud', DATA_DIR: t.testdir() });
  t.equal(await ended, 78);
  t.match(output(), /^The configuration is wrong:\n {2}PORT: takes .*\n {2}LOG_LEVEL: takes .*\n$/);
});

void t.test('a data folder that cannot be had ends the start', async (t) => {
  const folder = t.testdir({ file: 'not a folder' });
  const { ended, output } = spawnMain(t, { PORT: '0', DATA_DIR: join(folder, 'file') });
  t.equal(await ended, 1);
  const [line] = jsonLines(output());
  t.match(line, { level: 'fatal', msg: 'cannot start' });
  t.match(JSON.stringify(line), join(folder, 'file'));
});

void t.test('what prevents a start is one plain line, and a log line without a stack', async (t) => {
  const dataDir = t.testdir({ used: {}, free: {} });
  const { url } = await startService(t, { DATA_DIR: join(dataDir, 'used') });
  const { port } = new URL(url);
  const reasons: [Record<string, string>, string][] = [
    [{ PORT: port }, `cannot listen on 127.0.0.1:${port}: another process listens there`],
    [{ HOST: '192.0.2.1' }, 'cannot listen on 192.0.2.1:0: HOST is not an address of this machine'],
    [{ DATA_DIR: join(dataDir, 'used') }, `The data folder ${join(dataDir, 'used')} is in use`],
  ];
  for (const [env, reason] of reasons) {
    const start = { PORT: '0', ALLOW_PUBLIC_TEST_KEY: 'true', DATA_DIR: join(dataDir, 'free'), ...env };
    const { ended, output } = spawnMain(t, start);
    t.equal(await ended, 1);
    const [plain = '', ...more] = output()
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('{'));
    t.strictSame(more, []);
    t.ok(plain.startsWith(`Cannot start: ${reason}`), plain);
    const lines = jsonLines(output());
    t.match(lines, [{ level: 'fatal', msg: 'cannot start', reason }]);
    t.notMatch(output(), /\bat .*:\d+:\d+|"stack"/);
  }
});

void t.test(
  'a Node or C library that no build runs on is said in two lines, with those that work',
  async (t) => {
    const missing = () => ({ 'index.js': 'throw new Error("there is no binary");' });
    const folder = t.testdir({
      // Found before those of this repository, from which all other packages come.
      node_modules: { '@btc-vision': { 'uwebsockets.js': missing() }, 'uWebSockets.js': missing() },
      data: {},
    });
    for (const name of ['src', 'package.json']) cpSync(name, join(folder, name), { recursive: true });
    const { ended, output } = spawnMain(t, { PORT: '0', DATA_DIR: join(folder, 'data') }, [
      process.execPath,
      '--import=./.ci/typescript.mjs',
      join(folder, 'src', 'main.ts'),
    ]);
    t.equal(await ended, 1);
    t.match(jsonLines(output()), [
      { level: 'fatal', msg: 'cannot start', reason: /has no binary for Node \d/ },
    ]);
    const plain = output()
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('{'));
    t.match(plain, [
      /^Cannot start: uWebSockets\.js has no binary for Node \d/,
      /^Use Node 20 or 22 with glibc /,
    ]);
    t.equal(plain.length, 2);
  },
);

void t.test('an .env that cannot be read is a wrong configuration', async (t) => {
  const cwd = t.testdir({ '.env': {} });
  const here = process.cwd();
  const start = `cd ${cwd} && exec ${process.execPath} --import=${here}/.ci/typescript.mjs ${here}/src/main.ts`;
  const { ended, output } = spawnMain(t, { PORT: '0' }, ['sh', '-c', start]);
  t.equal(await ended, 78);
  t.match(output(), /^The configuration is wrong:\n {2}\.env: cannot be read: /);
});

void t.test('a second server on the same folder is refused, the first one goes on', async (t) => {
  const dataDir = t.testdir();
  const first = await startService(t, { DATA_DIR: dataDir });
  const second = spawnMain(t, { PORT: '0', DATA_DIR: dataDir });
  t.equal(await second.ended, 1);
  t.match(second.output(), /"level":"fatal"/);
  t.match(second.output(), dataDir);
  t.equal((await fetch(`${first.url}/v1/inbox`, { headers: HEADERS })).status, 200);
});

void t.test(
  'in a pipe there are JSON lines only, one for each request, without keys and payloads',
  async (t) => {
    const service = await startService(t, { DATA_DIR: t.testdir() });
    const sent = await fetch(`${service.url}/v1/events?api_key=${LOCAL_KEY}`, {
      method: 'POST',
      headers: { ...HEADERS, 'content-type': 'application/json', 'x-request-id': 'logged-1' },
      body: '{"source":"s","event_type":"t","payload":{"private":"matter"}}',
    });
    t.equal(sent.status, 201);
    await fetch(`${service.url}/v1/inbox?limit=7&${LOCAL_KEY}=1`, {
      headers: { authorization: `Bearer ${LOCAL_KEY}` },
    });
    await fetch(`${service.url}/v1/inbox`, { headers: { 'x-api-key': 'a-wrong-key' } });
    service.child.kill('SIGTERM');
    t.equal(await service.ended, 0);

    const lines = service.output().trimEnd().split('\n');
    const parsed = jsonLines(service.output());
    t.equal(parsed.length, lines.length, 'nothing but JSON');
    t.match(
      parsed.find((line) => line['request_id'] === 'logged-1'),
      {
        level: 'info',
        time: /^\d{4}-.*Z$/,
        method: 'POST',
        route: '/v1/events',
        status: 201,
        response_time_ms: Number,
        key_id: 'local',
        client: '127.0.0.1',
        query: { hidden: 1 },
      },
    );
    t.equal(parsed.filter((line) => line['route'] === '/v1/events').length, 1, 'one line');
    t.match(
      parsed.find((line) => line['route'] === '/v1/inbox' && line['query'] !== undefined),
      { query: { limit: '7', hidden: 1 } },
      'of a query only what is known to be harmless',
    );
    for (const secret of [LOCAL_KEY, 'a-wrong-key', 'matter']) t.notMatch(service.output(), secret);
  },
);

void t.test('at debug the start of a request and the place in the code are logged too', async (t) => {
  const service = await startService(t, { DATA_DIR: t.testdir(), LOG_LEVEL: 'debug' });
  await fetch(`${service.url}/v1/health`, { headers: { 'x-request-id': 'debugged' } });
  service.child.kill('SIGTERM');
  t.equal(await service.ended, 0);
  const lines = jsonLines(service.output()).filter((line) => line['request_id'] === 'debugged');
  t.same(
    lines.map((line) => line['msg']),
    ['request started', 'request'],
  );
  for (const line of lines) t.match(line['place'], /^src\/[\w/-]+\.ts:\d+$/);
});

void t.test('on a terminal the start tells the address, the test key and where the docs are', async (t) => {
  const output = await startOnTerminal(t);
  t.match(output, /http:\/\/127\.0\.0\.1:\d+/);
  t.match(output, LOCAL_KEY);
  t.match(output, /README\.md/);
  t.match(output, /docs\//);
  t.notMatch(output, /^\{/m, 'no JSON for people');
});

void t.test(
  'SIGTERM drains: readiness fails, requests are served to their end, connections are closed',
  async (t) => {
    const service = await startService(t, { DATA_DIR: t.testdir() });
    const body = '{"source":"s","event_type":"t","payload":{}}';
    const head =
      `POST /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: ${LOCAL_KEY}\r\n` +
      `Content-Length: ${String(body.length)}\r\n\r\n`;
    // A request that is halfway in when the signal comes.
    const { hostname, port } = new URL(service.url);
    const { connect } = await import('node:net');
    const slow = connect(Number(port), hostname);
    slow.write(head + body.slice(0, 10));
    await fetch(`${service.url}/v1/health`);
    service.child.kill('SIGTERM');
    while (!service.output().includes('draining')) await new Promise(setImmediate);

    const ready = await sendRaw(service.url, ['GET /v1/ready HTTP/1.1\r\nHost: x\r\n\r\n']);
    t.match(ready.text, /^HTTP\/1.1 503 /);
    t.match(ready.text, /retry-after: 1/i);
    t.ok(ready.closed, 'the connection is closed after the answer');
    const other = await fetch(`${service.url}/v1/events`, {
      method: 'POST',
      headers: { ...HEADERS, 'content-type': 'application/json' },
      body,
    });
    t.equal(other.status, 201, 'while the load balancer has not noticed, events are still taken');
    const answer = new Promise<string>((resolve) => {
      slow.once('data', (data) => {
        resolve(data.toString());
      });
    });
    slow.write(body.slice(10));
    t.match(await answer, /^HTTP\/1.1 201 Created/);
    t.equal(await service.ended, 0);
    t.match(jsonLines(service.output()).at(-1), { msg: 'stopped' });
  },
);

void t.test(
  'a client that never ends its request does not hold the drain up for longer than the grace',
  async (t) => {
    const service = await startService(t, { DATA_DIR: t.testdir(), SHUTDOWN_GRACE_SECONDS: '1' });
    const { hostname, port } = new URL(service.url);
    const { connect } = await import('node:net');
    const slow = connect(Number(port), hostname);
    slow.on('error', () => undefined);
    slow.write(
      `POST /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: ${LOCAL_KEY}\r\nContent-Length: 100\r\n\r\n`,
    );
    await fetch(`${service.url}/v1/health`);
    service.child.kill('SIGTERM');
    t.equal(await service.ended, 0);
  },
);

void t.test(
  'a store that fails ends the process with an error; what was acknowledged is there after a restart',
  async (t) => {
    const dataDir = t.testdir();
    await makeStore(t, dataDir);
    // Files may not be written beyond this many blocks of 1 KiB: the write that needs more fails, as on a disk that breaks.
    // Without tap's coverage, which would end the process at the SIGXFSZ that comes with it and that Node ignores.
    const limited = [
      'bash',
      '-c',
      `ulimit -f 800; unset NODE_OPTIONS; exec ${process.execPath} --import=./.ci/typescript.mjs src/main.ts`,
    ] as const;
    const service = await startService(t, { DATA_DIR: dataDir }, limited);
    const acknowledged: string[] = [];
    let refused = 0;
    const send = async (): Promise<void> => {
      for (;;) {
        const response = await fetch(`${service.url}/v1/events`, {
          method: 'POST',
          headers: { ...HEADERS, 'content-type': 'application/json' },
          body: JSON.stringify({ source: 's', event_type: 't', payload: { fill: 'x'.repeat(5_000) } }),
        });
        if (response.status === 503) refused++;
        else acknowledged.push(((await response.json()) as { event_id: string }).event_id);
      }
    };
    await Promise.allSettled(Array.from({ length: 8 }, send));
    t.equal(await service.ended, 1);
    t.match(service.output(), /"level":"fatal".*the store has failed/);
    t.ok(acknowledged.length > 50, `${String(acknowledged.length)} acknowledged`);
    t.ok(refused > 0, `${String(refused)} refused with 503`);

    const again = await startService(t, { DATA_DIR: dataDir });
    for (const id of acknowledged) {
      const response = await fetch(`${again.url}/v1/events/${id}`, { headers: HEADERS });
      if (response.status !== 200) t.fail(`event ${id} is lost`);
    }
    const sent = await fetch(`${again.url}/v1/events`, {
      method: 'POST',
      headers: { ...HEADERS, 'content-type': 'application/json' },
      body: '{"source":"s","event_type":"t","payload":{}}',
    });
    t.equal(sent.status, 201, 'and it takes events again');
  },
);

void t.test('.env.example names every variable that the code reads, with its default', (t) => {
  const example = readFileSync('.env.example', 'utf8');
  const code = readFileSync('src/config.ts', 'utf8');
  const read = [...code.matchAll(/read\('(\w+)', '([^']*)'/g)].map(
    ([, name, value]) => `${name ?? ''}=${value ?? ''}`,
  );
  t.ok(read.length > 5);
  for (const line of read) t.match(example, `# ${line}\n`);
  t.end();
});
