import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Asks and reads nothing of what comes, so that the kernel's buffers fill. */
export function askAndReadNothing(url: string, request: string): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname, () => {
    socket.write(request);
  });
  socket.pause();
  socket.on('error', () => undefined);
  return socket;
}

/**
 * Asks and reads the reply at a steady pace.
 *
 * @returns what came until the connection was closed or the reply was whole, and whether it was whole.
 */
export async function readSlowly(
  url: string,
  request: string,
  bytesPerSecond: number,
): Promise<{ bytes: number; whole: boolean }> {
  const socket = askAndReadNothing(url, request);
  const started = performance.now();
  let bytes = 0;
  let expected = Infinity;
  let ended = false as boolean;
  socket.on('close', () => (ended = true));
  socket.on('end', () => (ended = true));
  while (bytes < expected) {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) {
      if (ended) break;
      await sleep(10);
      continue;
    }
    if (bytes === 0) expected = replySize(chunk.toString('latin1'));
    bytes += chunk.length;
    await sleep(Math.max(0, (bytes / bytesPerSecond) * 1000 - (performance.now() - started)));
  }
  socket.destroy();
  return { bytes, whole: bytes === expected };
}

/** @param text the beginning of a reply, with all of its head. */
function replySize(text: string): number {
  const head = text.indexOf('\r\n\r\n');
  return head + 4 + Number(/^content-length: (\d+)/im.exec(text)?.[1]);
}
