import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import type { Test } from 'tap';

/** A TCP relay before a server, which knows who ends connections. */
export interface Relay {
  readonly address: string;
  open(): number;
  /** How many connections the client has ended first, and how many the server has. The ones that were agreed on do not count. */
  readonly endedBy: { client: number; server: number };
}

export async function startRelay(t: Test, target: string): Promise<Relay> {
  const endedBy = { client: 0, server: 0 };
  let open = 0;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const [host = '', port] = target.split(':');
    const upstream = connect({ host, port: Number(port), allowHalfOpen: true });
    let ended = false;
    let agreed = false;
    open++;
    const look = (data: Buffer): void => {
      agreed ||= /\r\nconnection: *close\r\n/i.test(data.toString('latin1'));
    };
    client.on('data', look);
    upstream.on('data', look);
    const endWith = (who: 'client' | 'server') => (): void => {
      if (ended) return;
      ended = true;
      open--;
      if (!agreed) endedBy[who]++;
    };
    client.on('end', endWith('client')).on('error', endWith('client')).pipe(upstream);
    upstream.on('end', endWith('server')).on('error', endWith('server')).pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return {
    address: `127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    open: () => open,
    endedBy,
  };
}
