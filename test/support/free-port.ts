import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

/**
 * A port that was free a moment ago. For a service that is started again at the same place: with port 0 uWebSockets leaves out
 * `SO_REUSEADDR`, and the address stays in use for a minute.
 */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
