import { constants, fstatSync, openSync, writeSync, writev, writevSync } from 'node:fs';
import { Socket } from 'node:net';
import { isatty } from 'node:tty';
import { promisify } from 'node:util';

/**
 * Writes what can be written now, in this order, and gives the number of bytes written. Throws or rejects with the system's
 * error; `EAGAIN` means that the reader has no room at the moment.
 */
export type Sink = (blocks: readonly Uint8Array[]) => number | Promise<number>;

/**
 * A standard stream as a sink that never waits for its reader. Node's own streams block on a terminal, and `fs` on anything,
 * until a stalled reader continues. Only a write to a file waits, for its disk, and that happens in libuv's pool. See
 * docs/decisions/040-log-output.md.
 */
export function openSink(fd: 1 | 2): Sink {
  const own = openNonBlocking(fd);
  if (own !== undefined) return (blocks) => writevSync(own, blocks);
  return async (blocks) => (await writeInPool(fd, blocks)).bytesWritten;
}

/** Writes one line to stderr, for the operator. It is lost when nobody reads it now. */
export function complain(line: string): void {
  stderr ??= openNonBlocking(2) ?? 2;
  try {
    writeSync(stderr, `${line}\n`);
  } catch {
    // There is no other place to report it.
  }
}

let stderr: number | undefined;

const writeInPool = promisify(writev);

/** Undefined for a file, and for what cannot be opened this way. */
function openNonBlocking(fd: 1 | 2): number | undefined {
  const kind = fstatSync(fd);
  if (kind.isFile() || kind.isBlockDevice()) return undefined;
  // A new file description: `O_NONBLOCK` on the inherited one would also affect others that write there (a shell's `( a; b ) | c`).
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
    // For its side effect only: Node sets `O_NONBLOCK`, and resets it when the process ends.
    new Socket({ fd, readable: false, writable: true });
    return fd;
  } catch {
    return undefined;
  }
}
