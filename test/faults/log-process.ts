import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmdirSync, truncateSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import t from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import type { Json } from '../support/app.ts';
import { freshTables, startDynalite } from '../../bench/harness/dynamodb.ts';
import type { Logging } from '../support/stdout.ts';
import { answers, makeLongLines, makePipe, residentMiB, startLogging, until } from '../support/stdout.ts';

/** Of 3 KB each: far more than what may wait, 4 MiB. */
const MANY = 30_000;

const toDevFull = () => openSync('/dev/full', 'w');

function parse(lines: string): Json[] {
  return lines
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Json);
}

/** Sends an event; the status of its answer. */
async function send({ url }: Logging): Promise<number> {
  const { status } = await fetch(`${url}/v1/events`, {
    method: 'POST',
    headers: { 'x-api-key': LOCAL_KEY, 'content-type': 'application/json' },
    body: '{"source":"s","event_type":"t","payload":{}}',
  });
  return status;
}

const stores: Record<string, (t: Test) => Promise<Record<string, string>>> = {
  embedded: (t) => Promise.resolve({ DATA_DIR: t.testdir() }),
  dynamodb: async (t) => {
    const tables = freshTables();
    return {
      STORE: 'dynamodb',
      DYNAMODB_ENDPOINT_URL: await startDynalite(t),
      EVENTS_TABLE: tables.events,
      CLAIMS_TABLE: tables.claims,
      API_KEYS_TABLE: tables.keys,
    };
  },
};

for (const [store, environment] of Object.entries(stores)) {
  void t.test(`${store}: a log without room is said on stderr and does not stop the service`, async (t) => {
    const service = await startLogging(t, toDevFull(), { env: await environment(t) });
    await makeLongLines(service, 2_000);
    while ((await send(service)) !== 201) await sleep(50);
    process.kill(service.pid, 'SIGTERM');
    t.equal(await service.ended, 0);
    const [first, last, ...more] = service
      .errors()
      .split('\n')
      .filter((line) => /^(?:The log|\d+ lines)/.test(line));
    t.match(first, 'The log cannot be written to stdout; the service continues: ENOSPC');
    t.match(last, /^\d{4} lines of the log are lost: ENOSPC/);
    t.strictSame(more, []);
  });
}

void t.test('a second signal stops at once, also when the log has no room', async (t) => {
  const env = { DATA_DIR: t.testdir(), SHUTDOWN_GRACE_SECONDS: '60' };
  const service = await startLogging(t, toDevFull(), { env });
  // A request without its end keeps the drain from ending.
  const { hostname, port } = new URL(service.url);
  const slow = connect(Number(port), hostname).on('error', () => undefined);
  slow.write(`POST /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: ${LOCAL_KEY}\r\nContent-Length: 9\r\n\r\n`);
  t.ok(await answers(service.url));
  const over = new AbortController();
  void service.ended.then(() => {
    over.abort();
  });
  while (!over.signal.aborted) {
    process.kill(service.pid, 'SIGTERM');
    await Promise.race([service.ended, sleep(100)]);
  }
  t.equal(await service.ended, 1);
});

void t.test(
  'a pipe that nobody reads: bounded memory, and later one line says what is missing',
  async (t) => {
    const { reader, writeEnd } = makePipe(t);
    const service = await startLogging(t, writeEnd, { env: { DATA_DIR: t.testdir() } });
    await makeLongLines(service, 5_000);
    const before = residentMiB(service.pid);
    await makeLongLines(service, MANY);
    const grown = residentMiB(service.pid) - before;
    t.comment(`${before.toFixed(0)} MiB, and ${grown.toFixed(0)} more after ${String(MANY)} lines of 3 KB`);
    t.ok(grown < 45, `grew by ${grown.toFixed(0)} MiB`);

    let output = '';
    reader.setEncoding('utf8').on('data', (text: string) => (output += text));
    reader.resume();
    await until(() => /dropped_lines.*\n/.test(output));
    t.ok(await answers(service.url));
    process.kill(service.pid, 'SIGTERM');
    t.equal(await service.ended, 0);
    await until(() => output.includes('"stopped"'));
    const lines = parse(output);
    const gaps = lines.filter((line) => 'dropped_lines' in line);
    t.equal(gaps.length, 1, 'one line about one gap');
    t.match(gaps[0], { level: 'warn', time: /^\d{4}-.*Z$/, msg: /missing/ });
    const requests = lines.filter(({ msg }) => msg === 'request').length;
    t.ok(requests + Number(gaps[0]?.['dropped_lines']) >= 5_000 + MANY + 1, 'every line is there or counted');
    t.equal(lines.at(-1)?.['msg'], 'stopped');
  },
);

const unread: Record<string, (t: Test) => number | 'socket'> = {
  pipe: (t) => makePipe(t).writeEnd,
  socket: () => 'socket',
};

for (const [kind, stdout] of Object.entries(unread)) {
  void t.test(`a ${kind} that nobody reads does not hold up the end`, async (t) => {
    const service = await startLogging(t, stdout(t), { env: { DATA_DIR: t.testdir({ data: {} }) } });
    await makeLongLines(service, 2_000);
    t.equal(await send(service), 201);
    process.kill(service.pid, 'SIGTERM');
    t.equal(await service.ended, 0);
    t.match(service.errors(), /^\d+ lines of the log are lost: stdout is not read/m);
  });
}

void t.test('a reader that goes away does not end the service', async (t) => {
  const { reader, writeEnd } = makePipe(t);
  const service = await startLogging(t, writeEnd, { env: { DATA_DIR: t.testdir() } });
  reader.destroy();
  await makeLongLines(service, 2_000);
  await until(() => service.errors().includes('EPIPE'));
  t.equal(await send(service), 201);
  process.kill(service.pid, 'SIGTERM');
  t.equal(await service.ended, 0);
});

/** A folder in which a log file does not grow beyond some MiB when the service is started so; null where that cannot be had. */
const limits: Record<string, (t: Test, own: string) => { folder: string; wrap: string[] } | null> = {
  // The store's files stay below it. Without tap's coverage: it listens to the SIGXFSZ of a write beyond, which Node
  // ignores, and ends the process.
  'a limit for files': (_, own) => ({
    folder: own,
    wrap: ['bash', '-c', 'ulimit -f 8192; unset NODE_OPTIONS; exec "$0" "$@"'],
  }),
  'a full disk': (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'full-disk-'));
    const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', folder]);
    t.teardown(() => {
      if (status === 0) execFileSync('umount', ['--lazy', folder]);
      rmdirSync(folder);
    });
    return status === 0 ? { folder, wrap: [] } : null;
  },
};

for (const [name, limit] of Object.entries(limits)) {
  void t.test(`a log file at ${name}: lines are dropped, and written again once there is room`, async (t) => {
    const own = t.testdir({ data: {} });
    const limited = limit(t, own);
    if (limited === null) {
      t.pass('not tested: this user may not mount a file system');
      return;
    }
    const log = join(limited.folder, 'service.log');
    const service = await startLogging(t, openSync(log, 'a'), {
      env: { DATA_DIR: join(own, 'data') },
      wrap: limited.wrap,
    });
    while (!service.errors().includes('The log cannot be written to stdout')) {
      await makeLongLines(service, 1_000);
    }
    // More than may wait.
    await makeLongLines(service, 2_000);
    t.equal(await send(service), 201);
    truncateSync(log);
    await until(() => readFileSync(log, 'utf8').includes('dropped_lines'));
    process.kill(service.pid, 'SIGTERM');
    t.equal(await service.ended, 0);
    const text = readFileSync(log, 'utf8');
    // The first line may have begun before.
    const lines = parse(text.slice(text.indexOf('\n') + 1));
    t.match(lines.at(-1), { msg: 'stopped' });
    t.equal(lines.filter((line) => 'dropped_lines' in line).length, 1);
  });
}

void t.test('a terminal that is stopped (Ctrl-S) stops neither answers nor the end', async (t) => {
  const pidFile = join(t.testdir(), 'pid');
  // `script` gives the process a terminal, and stops reading it when nobody reads from `script`.
  const command = `echo $$ > ${pidFile}; exec ${process.execPath} --import=./.ci/typescript.mjs src/main.ts`;
  const terminal = spawn('script', ['-qec', command, '/dev/null'], {
    env: { ...process.env, PORT: '0', DATA_DIR: t.testdir({ data: {} }), SHUTDOWN_GRACE_SECONDS: '2' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => terminal.kill('SIGKILL'));
  let output = '';
  const collect = (data: Buffer): void => {
    output += data.toString();
  };
  terminal.stdout.on('data', collect);
  await until(() => /curl [^\n]+\n/.test(output));
  terminal.stdout.off('data', collect).pause();
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0] ?? '';
  await makeLongLines({ url }, 5_000);
  const pid = Number(readFileSync(pidFile, 'utf8'));
  process.kill(pid, 'SIGTERM');
  await until(() => !isRunning(pid));
  terminal.stdout.resume();
  await once(terminal, 'close');
  t.equal(terminal.exitCode, 0);
});

/** A zombie, too, has ended: `script` is stopped as well, and does not wait for it. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${String(pid)}/status`, 'utf8'));
  } catch {
    return false;
  }
}
