import { constants, fstatSync, openSync, writeSync, writev, writevSync } from 'node:fs';
import { Socket } from 'node:net';
import { isatty } from 'node:tty';
import { promisify } from 'node:util';

/**
 * Takes what can be written now, in this order, and gives the number of bytes taken. Throws or rejects with the system's error; with
 * `EAGAIN` the reader has no room at the moment.
 */
export type Sink = (blocks: readonly Uint8Array[]) => number | Promise<number>;

/**
 * A standard stream as a sink that never waits for whoever reads it: Node's own streams write to a terminal, and `fs`
 * to anything, until a reader that stalls goes on. Only for a file does the write wait, for its disk, and then in
 * libuv's pool. docs/decisions/040-log-output.md.
 */
export function openSink(fd: 1 | 2): Sink {
  const own = openNonBlocking(fd);
  if (own !== undefined) return (blocks) => writevSync(own, blocks);
  return async (blocks) => (await writeInPool(fd, blocks)).bytesWritten;
}

/** Says one line to the operator on stderr. Where nobody reads it now, it is lost. */
export function complain(line: string): void {
  stderr ??= openNonBlocking(2) ?? 2;
  try {
    writeSync(stderr, `${line}\n`);
  } catch {
    // There is no other place to say it.
  }
}

let stderr: number | undefined;

const writeInPool = promisify(writev);

/** Undefined for a file, and for what cannot be had so. */
function openNonBlocking(fd: 1 | 2): number | undefined {
  const kind = fstatSync(fd);
  if (kind.isFile() || kind.isBlockDevice()) return undefined;
  // A description of our own: `O_NONBLOCK` on the inherited one would also hit others that write there (a shell's `( a; b ) | c`).
  // macOS has no /proc, and its /dev/fd only duplicates.
  const paths = [`/proc/self/fd/${String(fd)}`, ...(isatty(fd) ? ['/dev/tty'] : [])];
  for (const path of paths) {
    try {
      return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    } catch {
      // A socket, a pipe without a reader (ENXIO), or another user's.
    }
  }
  try {
    // Made for its side effect: Node sets `O_NONBLOCK`, and takes it back when the process ends.
    new Socket({ fd, readable: false, writable: true });
    return fd;
  } catch {
    return undefined;
  }
}
