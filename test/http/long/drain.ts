import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { LOCAL_KEY } from '../../../src/access/local.ts';
import { drain } from '../../../src/http/drain.ts';
import { startTestApp } from '../../support/app.ts';

const BODY = '{"source":"s","event_type":"t","payload":{}}';
const EVENT = `POST /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: ${LOCAL_KEY}\r\nContent-Length: ${String(BODY.length)}\r\n\r\n${BODY}`;
const HEALTH = 'GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n';
const READY = 'GET /v1/ready HTTP/1.1\r\nHost: x\r\n\r\n';

async function open(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  return socket;
}

async function exchange(socket: Socket, request: string): Promise<string> {
  socket.write(request);
  const [data] = (await once(socket, 'data')) as [Buffer];
  return data.toString();
}

/** Resolves when connections are refused. */
async function refused(url: string): Promise<void> {
  for (;;) {
    const socket = await open(url).catch(() => undefined);
    if (socket === undefined) return;
    socket.destroy();
    await sleep(10);
  }
}

void t.test(
  'an idle connection is served after the listener has closed, for a proxy may use it',
  async (t) => {
    const { url, app } = await startTestApp(t, { SHUTDOWN_GRACE_SECONDS: '10' });
    const idle = await open(url);
    t.match(await exchange(idle, HEALTH), /^HTTP\/1\.1 200 /);
    const closed = app.close();
    await refused(url);
    const ended = once(idle, 'close');
    const reply = await exchange(idle, EVENT);
    t.match(reply, /^HTTP\/1\.1 201 /);
    t.match(reply, /\r\nconnection: close\r\n/i);
    await ended;
    await closed;
  },
);

void t.test('with no connection left, the end is not waited for', async (t) => {
  const { url, app } = await startTestApp(t, { SHUTDOWN_GRACE_SECONDS: '60' });
  const idle = await open(url);
  t.match(await exchange(idle, HEALTH), /^HTTP\/1\.1 200 /);
  const from = performance.now();
  const closed = app.close();
  idle.destroy();
  await closed;
  const ms = performance.now() - from;
  t.ok(ms < 7_000, `${ms.toFixed(0)} ms: less than an idle connection would have taken`);
});

void t.test('a connection that stays idle is closed before the grace is over', async (t) => {
  const { url, app } = await startTestApp(t, { SHUTDOWN_GRACE_SECONDS: '4' });
  const idle = await open(url);
  t.match(await exchange(idle, HEALTH), /^HTTP\/1\.1 200 /);
  const from = performance.now();
  await app.close();
  const ms = performance.now() - from;
  t.ok(ms < 4_000, `${ms.toFixed(0)} ms`);
});

void t.test(
  'a balancer that asks whether the process is ready has half of the grace to notice',
  async (t) => {
    const { url, app } = await startTestApp(t, { SHUTDOWN_GRACE_SECONDS: '4' });
    const probe = await open(url);
    t.match(await exchange(probe, READY), /^HTTP\/1\.1 200 /);
    const from = performance.now();
    const closed = app.close();
    t.match(await exchange(probe, READY), /^HTTP\/1\.1 503 /);
    await refused(url);
    const ms = performance.now() - from;
    t.ok(ms >= 1_990, `connections were refused after ${ms.toFixed(0)} ms`);
    await closed;
  },
);

void t.test('a process that is never idle for a moment ends within the grace', async (t) => {
  let busy = true;
  const work = (): void => {
    const until = performance.now() + 10;
    while (performance.now() < until);
    if (busy) setImmediate(work);
  };
  work();
  t.teardown(() => (busy = false));
  const activity = {
    lastRequestAt: () => performance.now(),
    lastProbeAt: () => performance.now(),
    inFlight: () => 1,
    connections: () => 1,
  };
  let stoppedAt = Infinity;
  const from = performance.now();
  await drain(activity, 2_000, () => (stoppedAt = performance.now()));
  const ms = performance.now() - from;
  t.ok(stoppedAt - from < 2_000, 'there is time left for the connections that are open');
  // The grace, and some room for a machine that is busy itself.
  t.ok(ms < 5_000, `${ms.toFixed(0)} ms`);
});

void t.test('a reply under way has the whole grace', async (t) => {
  const from = performance.now();
  const passed = (): number => performance.now() - from;
  const activity = {
    lastRequestAt: () => -Infinity,
    lastProbeAt: () => -Infinity,
    // Longer than connections may be idle, which is three quarters of the grace.
    inFlight: () => (passed() < 1_800 ? 1 : 0),
    connections: () => 1,
  };
  await drain(activity, 2_000, () => undefined);
  t.ok(passed() >= 1_800, `${passed().toFixed(0)} ms`);
});
