import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import t from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { createKey, spawnKeys } from '../support/keys-cli.ts';
import { jsonLines, startService, type Service } from '../support/process.ts';
import { askAndReadNothing, readSlowly } from '../support/readers.ts';
import { residentMiB } from '../support/stdout.ts';

const MIB = 1024 * 1024;
const PAGE = '/v1/inbox?limit=100';

t.jobs = 4;

function request(method: string, path: string, id = 'x'): string {
  return `${method} ${path} HTTP/1.1\r\nHost: x\r\nX-Request-ID: ${id}\r\nX-API-Key: ${LOCAL_KEY}\r\n\r\n`;
}

/**
 * Connections that ask for full pages and read nothing of them. The kernel's buffers may take two whole pages; so each asks again
 * once its reply has been handed over.
 */
function startReaders(t: Test, { url, output }: Service, count: number): { stop(): void } {
  const readers = Array.from({ length: count }, (_, index) => ({
    asked: 1,
    socket: askAndReadNothing(url, request('GET', PAGE, `${String(index)}-1`)),
  }));
  const again = setInterval(() => {
    const answered = new Set(
      jsonLines(output()).flatMap(({ msg, request_id: id }) => (msg === 'request' ? [String(id)] : [])),
    );
    for (const [index, reader] of readers.entries()) {
      if (reader.asked === 5 || !answered.has(`${String(index)}-${String(reader.asked)}`)) continue;
      reader.asked += 1;
      reader.socket.write(request('GET', PAGE, `${String(index)}-${String(reader.asked)}`));
    }
  }, 500);
  const stop = (): void => {
    clearInterval(again);
    for (const { socket } of readers) socket.destroy();
  };
  t.teardown(stop);
  return { stop };
}

/** A service with so many events of 45 kB in its inbox: a hundred make a page of 4.5 MB. */
async function startWithEvents(t: Test, events: number): Promise<Service & { env: Record<string, string> }> {
  const env = { DATA_DIR: t.testdir() };
  const service = await startService(t, env);
  const payload = { text: 'x'.repeat(45_000) };
  for (let sent = 0; sent < events; sent += 10) {
    await Promise.all(Array.from({ length: 10 }, () => send(service.url, LOCAL_KEY, payload)));
  }
  return { ...service, env };
}

async function send(url: string, key: string, payload: unknown): Promise<void> {
  const { status } = await fetch(`${url}/v1/events`, {
    method: 'POST',
    headers: { 'x-api-key': key, 'content-type': 'application/json' },
    body: JSON.stringify({ source: 's', event_type: 't', payload }),
  });
  if (status !== 201) throw new Error(`event refused with ${String(status)}`);
}

async function inbox(url: string, key: string): Promise<{ status: number; events: number; body: string }> {
  const answer = await fetch(`${url}/v1/inbox?limit=100`, { headers: { 'x-api-key': key } });
  const body = await answer.text();
  return { status: answer.status, events: body.split('"event_id"').length - 1, body };
}

void t.test('readers that do not read cost bounded memory, and others their turn', async (t) => {
  const service = await startWithEvents(t, 100);
  const { url, child, env, output } = service;
  const { key: otherKey } = await createKey(spawnKeys, env, '--tenant', 'another');
  await send(url, otherKey, {});
  const before = residentMiB(child.pid ?? 0);

  const readers = startReaders(t, service, 300);
  let peak = before;
  let slowestMs = 0;
  for (let look = 0; look < 60; look++) {
    const started = performance.now();
    t.equal((await fetch(`${url}/v1/health`)).status, 200);
    slowestMs = Math.max(slowestMs, performance.now() - started);
    peak = Math.max(peak, residentMiB(child.pid ?? 0));
    t.match(await inbox(url, otherKey), { status: 200, events: 1 }, 'another tenant has its share');
    await sleep(50);
  }
  t.comment(
    `resident MiB: ${String(before)} before, ${String(peak)} at most; health ${String(slowestMs)} ms`,
  );
  const refused = output().split('too many bytes of replies wait for their readers').length - 1;
  t.ok(refused > 0, `${String(refused)} requests were refused`);
  t.ok(peak - before < 250, `${String(peak - before)} MiB more`);
  t.ok(slowestMs < 1_000, `health took ${String(slowestMs)} ms`);

  readers.stop();
  for (let tries = 0; (await inbox(url, LOCAL_KEY)).status !== 200; tries++) {
    if (tries === 100) throw new Error('the share of readers that have gone was not given back');
    await sleep(50);
  }
});

void t.test('a client that takes nothing for 10 s is let go, and its bytes with it', async (t) => {
  const service = await startWithEvents(t, 100);
  const { url, output } = service;
  startReaders(t, service, 30);
  const from = performance.now();
  while (!output().includes('client went away')) {
    if (performance.now() - from > 60_000) throw new Error('nobody was let go');
    await sleep(50);
  }
  t.match(await inbox(url, LOCAL_KEY), { status: 200, events: 94 });
});

for (const kilobytes of [50, 100, 400]) {
  void t.test(`a page of 4.5 MB is read whole at ${String(kilobytes)} kB/s`, async (t) => {
    const { url } = await startWithEvents(t, 100);
    const { bytes, whole } = await readSlowly(url, request('GET', PAGE), kilobytes * 1000);
    t.ok(whole, `${String(bytes)} bytes came`);
    t.ok(bytes > 4 * MIB);
  });
}

for (const [what, pipelined] of Object.entries({
  'replies at once': request('GET', '/v1/health'),
  'errors at once': request('GET', '/nowhere'),
  'replies without a body': request('HEAD', '/v1/health'),
  'refusals that close': 'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n1',
})) {
  void t.test(`pipelined requests whose ${what} nobody reads are bounded`, async (t) => {
    const { url, child } = await startWithEvents(t, 0);
    const before = residentMiB(child.pid ?? 0);
    const socket = askAndReadNothing(url, '');
    let closed = false as boolean;
    socket.on('close', () => (closed = true));
    const batch = pipelined.repeat(Math.ceil(MIB / pipelined.length));
    let written = 0;
    // What it takes no more is the bound that is asked for; so is an end of the connection.
    for (let stalled = 0; stalled < 20 && written < 200 * MIB && !closed;) {
      if (socket.writableLength < 4 * MIB) {
        socket.write(batch);
        written += batch.length;
        stalled = 0;
      } else {
        stalled += 1;
      }
      await sleep(20);
    }
    const more = residentMiB(child.pid ?? 0) - before;
    t.comment(`${String(written / MIB)} MiB written, ${String(more)} MiB more in memory`);
    t.ok(closed, 'the connection is closed');
    t.ok(more < 120, `${String(more)} MiB more`);
    t.equal((await fetch(`${url}/v1/health`)).status, 200);
  });
}
