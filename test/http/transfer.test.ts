import type { HttpResponse } from 'uWebSockets.js';
import t from 'tap';
import { Transfer } from '../../src/http/transfer.ts';

/** A socket that takes as much of a reply as there is room for, and counts as uWebSockets does. */
function socketOf(size: number) {
  const received: Buffer[] = [];
  const socket = { offset: 0, closed: false, writable: (): boolean => false, give };
  let room = 0;
  const res = {
    onWritable: (handler: () => boolean) => (socket.writable = handler),
    getWriteOffset: () => socket.offset,
    tryEnd(chunk: Buffer, total: number): [boolean, boolean] {
      const taken = chunk.subarray(0, room);
      received.push(Buffer.from(taken));
      room -= taken.length;
      socket.offset += taken.length;
      return [taken.length === chunk.length, socket.offset === total];
    },
    close: () => (socket.closed = true),
  } as unknown as HttpResponse;
  /** Makes room, of which the kernel need not tell. */
  function give(bytes: number): void {
    room += bytes;
  }
  return { socket, res, received: () => Buffer.concat(received), whole: Buffer.alloc(size, '0123456789') };
}

void t.test('what the socket has taken is known at any time, in case the client goes away', (t) => {
  const { socket, res, received, whole } = socketOf(100);
  socket.give(30);
  res.tryEnd(whole, whole.length);
  let done = 0;
  const transfer = new Transfer(res, whole.subarray(30), whole.length, () => done++);
  t.equal(transfer.taken, 30);
  t.equal(socket.writable(), false, 'it wants to be told again');
  t.equal(transfer.taken, 30);
  socket.give(20);
  socket.writable();
  t.equal(transfer.taken, 50);
  socket.give(10);
  transfer.check(performance.now() + 2_000);
  t.equal(transfer.taken, 60, 'also where the kernel has not told of room');
  t.equal(done, 0);
  socket.give(1_000);
  t.equal(socket.writable(), true);
  t.equal(transfer.taken, 100);
  t.equal(done, 1);
  t.ok(received().equals(whole), 'each byte once, in order');
  t.end();
});

void t.test('a client that takes nothing for 10 s is left, one that takes a little is not', (t) => {
  const { socket, res, whole } = socketOf(100);
  const transfer = new Transfer(res, whole, whole.length, () => t.fail('it is not done'));
  const start = performance.now();
  for (let second = 2; second <= 40; second += 2) {
    if (second % 8 === 0) socket.give(1);
    transfer.check(start + second * 1_000);
  }
  t.equal(socket.closed, false);
  transfer.check(start + 51_000);
  t.equal(socket.closed, true);
  t.end();
});
