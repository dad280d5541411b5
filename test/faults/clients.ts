import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import t from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { startService } from '../support/process.ts';
import { sendRaw } from '../support/raw.ts';
import { residentMiB } from '../support/stdout.ts';

const EVENT = '{"source":"s","event_type":"t","payload":{"text":"0123456789"}}';
const POST =
  `POST /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: ${LOCAL_KEY}\r\n` +
  `Content-Length: ${String(EVENT.length)}\r\n\r\n${EVENT}`;
const PAGE = `GET /v1/inbox?limit=100 HTTP/1.1\r\nHost: x\r\nX-API-Key: ${LOCAL_KEY}\r\n\r\n`;

t.jobs = 3;

/** A connection that is there; what goes wrong with it later is no error of the test. */
async function open(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname).setNoDelay(true);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** How many events are in the inbox. */
async function pending(url: string): Promise<number> {
  const answer = await fetch(`${url}/inbox?limit=100`, { headers: { 'x-api-key': LOCAL_KEY } });
  return ((await answer.json()) as { events: unknown[] }).events.length;
}

/** The next request is answered right: an event is stored and read again. */
async function serves(t: Test, url: string): Promise<void> {
  const before = await pending(url);
  t.match(await sendRaw(url, [POST]), { text: /^HTTP\/1.1 201 Created/ });
  t.equal(await pending(url), before + 1);
}

void t.test('5,000 idle connections cost little and are closed, and disturb nobody', async (t) => {
  const service = await startService(t, { DATA_DIR: t.testdir() });
  const before = residentMiB(service.child.pid ?? 0);
  const sockets: Socket[] = [];
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  let closed = 0;
  for (let batch = 0; batch < 50; batch++) {
    const opened = await Promise.all(Array.from({ length: 100 }, () => open(service.url)));
    for (const socket of opened) {
      socket.resume();
      socket.on('close', () => (closed += 1));
    }
    sockets.push(...opened);
  }
  await serves(t, service.url);
  const mib = residentMiB(service.child.pid ?? 0);
  t.comment(`${String(mib - before)} MiB more with 5,000 connections`);
  t.ok(mib - before < 100);
  for (let waited = 0; closed < sockets.length; waited++) {
    if (waited > 300) throw new Error(`${String(closed)} of 5,000 were closed within 30 s`);
    await sleep(100);
  }
  await serves(t, service.url);
});

void t.test('heads and bodies that come byte by byte end in time, and nothing is stored', async (t) => {
  const { url } = await startService(t, { DATA_DIR: t.testdir() });
  const headEnd = POST.indexOf('\r\n\r\n') + 4;
  const beginnings = { 'a head': '', 'a body': POST.slice(0, headEnd) };
  await Promise.all(
    Object.entries(beginnings).map(async ([what, beginning]) => {
      const socket = await open(url);
      let ended = false as boolean;
      socket.resume().on('close', () => (ended = true));
      socket.write(beginning);
      const started = performance.now();
      for (const byte of POST.slice(beginning.length)) {
        if (ended) break;
        socket.write(byte);
        await sleep(1_500);
      }
      const seconds = (performance.now() - started) / 1000;
      t.ok(ended, `${what} at less than a byte a second is cut off after ${seconds.toFixed(0)} s`);
      t.ok(seconds < 60);
    }),
  );
  t.equal(await pending(url), 0);
  await serves(t, url);
});

void t.test('a client that goes away at any point of its request leaves nothing behind', async (t) => {
  const service = await startService(t, { DATA_DIR: t.testdir() });
  const before = residentMiB(service.child.pid ?? 0);
  for (let sent = 1; sent < POST.length; sent += 1) {
    const socket = await open(service.url);
    socket.write(POST.slice(0, sent));
    await sleep(1);
    if (sent % 2 === 0) socket.resetAndDestroy();
    else socket.destroy();
  }
  t.equal(await pending(service.url), 0, 'no part of an event is an event');
  // With all of the request sent, the event may be stored, or not: the client cannot know, and sends it again.
  for (let sent = 0; sent < 200; sent++) {
    const socket = await open(service.url);
    socket.write(sent % 2 === 0 ? POST : PAGE);
    if (sent % 3 === 0) await sleep(1);
    socket.resetAndDestroy();
  }
  t.match(await sendRaw(service.url, [POST]), { text: /^HTTP\/1.1 201 Created/ });
  const answer = await fetch(`${service.url}/v1/health`);
  t.equal(answer.status, 200);
  t.ok(residentMiB(service.child.pid ?? 0) - before < 150);
});

void t.test('a client that closes its side behind the request may get no answer', async (t) => {
  const { url } = await startService(t, { DATA_DIR: t.testdir() });
  const socket = await open(url);
  let text = '';
  socket.on('data', (data: Buffer) => (text += data.toString()));
  socket.end(POST);
  await once(socket, 'close');
  // uWebSockets takes the end of the client's side for the end of the connection.
  t.ok(text === '' || text.startsWith('HTTP/1.1 201'), text);
  // The event may have been stored all the same, and may be so a moment later.
  t.match(await sendRaw(url, [POST]), { text: /^HTTP\/1.1 201 Created/ });
  t.ok([1, 2].includes(await pending(url)));
});
