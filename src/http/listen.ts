import { createServer } from 'node:net';
import type { TemplatedApp, us_listen_socket } from 'uWebSockets.js';

/** The service cannot listen on the address. The message names it and says why. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

/** uSockets' `LIBUS_LISTEN_EXCLUSIVE_PORT`: without it, a second process could listen on the same port and would get half of the connections. */
const EXCLUSIVE_PORT = 1;

/** @param port 0 for any free one. Rejects with a `ListenError`. */
export async function listen(app: TemplatedApp, host: string, port: number): Promise<us_listen_socket> {
  type ListenExclusively = (
    host: string,
    port: number,
    options: number,
    done: (socket: us_listen_socket | false) => void,
  ) => void;
  const socket = await new Promise<us_listen_socket | false>((resolve) => {
    // uWebSockets.js takes four arguments; its types declare fewer.
    (app.listen as unknown as ListenExclusively).call(app, host, port, EXCLUSIVE_PORT, resolve);
  });
  if (socket) return socket;
  throw listenError({ host, port, variable: 'PORT' }, await whyNot(host, port));
}

/** @param why the system's error; null if there was none a moment later. `variable` is what the operator has set to `port`. */
export function listenError(
  { host, port, variable }: { readonly host: string; readonly port: number; readonly variable: string },
  why: NodeJS.ErrnoException | null,
): ListenError {
  const reason =
    why === null
      ? 'another process listened there a moment ago; try again'
      : (REASONS[why.code ?? '']?.replace('PORT', variable) ?? why.message);
  return new ListenError(`cannot listen on ${host}:${String(port)}: ${reason}`);
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there; stop it or set PORT to another one',
  EADDRNOTAVAIL: 'HOST is not an address of this machine',
  EACCES: 'this user may not listen on this PORT',
  ENOTFOUND: 'there is no such HOST',
  EAI_AGAIN: 'the name of the HOST cannot be looked up',
};

/** uWebSockets.js does not say why it cannot listen; Node, asked for the same, does. */
function whyNot(host: string, port: number): Promise<NodeJS.ErrnoException | null> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', resolve);
    probe.listen({ host, port, exclusive: true }, () => {
      probe.close();
      resolve(null);
    });
  });
}

/** The host as URLs have it: an IPv6 address in brackets. */
export function hostInUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
