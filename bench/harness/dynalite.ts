/** A dynalite for the service and its yardsticks, with its data in memory. */
import dynalite from 'dynalite';
import type { AddressInfo } from 'node:net';

const server = dynalite({ createTableMs: 0, deleteTableMs: 0 });
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ msg: 'listening', url: `http://127.0.0.1:${String(port)}` }));
});
