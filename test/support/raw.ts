import { connect } from 'node:net';

export interface RawExchange {
  /** All that came back. */
  readonly text: string;
  /** Whether the server closed the connection. */
  readonly closed: boolean;
}

/**
 * Writes bytes to the service as they are and reads until `until` is satisfied, the server closes, or 5 s have passed.
 *
 * @param until by default: one whole response with a `content-length`.
 */
export function sendRaw(
  url: string,
  parts: readonly (string | Buffer)[],
  until: (text: string) => boolean = oneResponse,
): Promise<RawExchange> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(Number(port), hostname, () => {
      for (const part of parts) socket.write(part);
    });
    const finish = (closed: boolean): void => {
      clearTimeout(timeout);
      socket.destroy();
      resolve({ text, closed });
    };
    const timeout = setTimeout(finish, 5_000, false);
    socket.on('data', (data) => {
      text += data.toString('latin1');
      // What follows the answer may be the end of the connection: give it a moment to arrive.
      if (until(text)) setTimeout(finish, 100, false);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      finish(true);
    });
  });
}

function oneResponse(text: string): boolean {
  const head = text.indexOf('\r\n\r\n');
  const length = /^content-length: (\d+)/im.exec(text)?.[1];
  return head !== -1 && length !== undefined && text.length >= head + 4 + Number(length);
}
