import type { HttpResponse } from 'uWebSockets.js';
import t from 'tap';
import { HeldReply } from '../../src/http/held-reply.ts';

/** A socket whose kernel takes so many bytes before it is full. */
function newSocket() {
  const state = { written: '', pieces: 0, room: Infinity, ended: false, closed: false };
  let writable: () => boolean = () => true;
  const res = {
    cork: (write: () => void) => {
      write();
    },
    write(chunk: string | Buffer) {
      if (state.ended) throw new Error('used after its end');
      state.written += chunk.toString();
      state.pieces++;
      state.room -= chunk.length;
      return state.room > 0;
    },
    end(chunk: Buffer) {
      state.written += chunk.toString();
      state.ended = true;
    },
    onWritable: (handler: () => boolean) => (writable = handler),
    close: () => (state.closed = true),
  } as unknown as HttpResponse;
  const drain = (bytes: number): void => {
    state.room = bytes;
    writable();
  };
  return { state, res, drain };
}

void t.test('it begins within 4 s, and is never silent for longer', (t) => {
  const { state, res } = newSocket();
  const held = new HeldReply(
    res,
    () => (state.written += 'HEAD'),
    () => '{}',
    0,
  );
  let last = 0;
  for (let now = 0; now <= 60_000; now += 100) {
    const before = state.written.length;
    held.check(now);
    if (state.written.length === before) continue;
    t.ok(now - last <= 4_000, `after ${String(now - last)} ms`);
    t.ok(now - last >= 3_400);
    last = now;
  }
  t.match(state.written, /^HEAD {15,}$/);
  t.equal(held.begun, true);
  t.end();
});

void t.test('a body is handed over as the socket takes it', (t) => {
  const { state, res, drain } = newSocket();
  const held = new HeldReply(
    res,
    () => undefined,
    () => '{}',
    0,
  );
  held.check(4_000);
  const body = Buffer.alloc(1_000_000, 'x');
  let done = 0;
  state.room = 100_000;
  held.end(body, () => done++);
  t.ok(state.written.length < 200_000, 'no more than it has room for, and a piece');
  t.equal(done, 0);
  for (let tries = 0; !state.ended && tries < 100; tries++) drain(100_000);
  t.equal(done, 1);
  t.equal(state.written.length, body.length + 1);
  t.equal(held.bytesOut, body.length + 1);
  t.equal(state.closed, false);
  t.end();
});

void t.test('a slow reader gets a little each second; one that takes nothing for a minute is left', (t) => {
  const { state, res } = newSocket();
  const held = new HeldReply(
    res,
    () => undefined,
    () => '{}',
    0,
  );
  const start = performance.now();
  state.room = 0;
  held.end(Buffer.alloc(1_000_000, 'x'), () => undefined);
  const before = state.written.length;
  for (let now = start + 1_000; now < start + 50_000; now += 1_100) held.check(now);
  t.ok(state.written.length > before);
  t.ok(state.written.length < before + 300_000);
  t.equal(state.closed, false);
  held.check(start + 61_000);
  t.equal(state.closed, true);
  t.end();
});
