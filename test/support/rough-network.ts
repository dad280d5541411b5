import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';

/** What becomes of a piece of a request or of an answer on its way. */
const FAULTS = ['drop', 'delay', 'reset', 'cut'] as const;
type Fault = (typeof FAULTS)[number];

export interface RoughNetwork {
  readonly url: string;
  /** Faults so far, by direction and kind. */
  readonly counts: Readonly<Record<string, number>>;
}

/**
 * A network between a client and a service that loses what it carries: it drops pieces (the connection stays and is silent),
 * delays them, resets connections and cuts what it carries short.
 *
 * @param chance of a fault, for each piece in each direction: from 0 to 1.
 * @param random from 0 up to 1.
 */
export async function startRoughNetwork(
  t: Pick<Test, 'teardown'>,
  target: string,
  chance: number,
  random: () => number,
): Promise<RoughNetwork> {
  const counts: Record<string, number> = {};
  const made = { request: 0, answer: 0 };
  const open = new Set<Socket>();
  const { hostname, port } = new URL(target);

  const decide = (direction: 'request' | 'answer'): Fault | undefined => {
    if (random() >= chance) return undefined;
    // In turn, so that a short run meets all of them.
    const fault = FAULTS[made[direction]++ % FAULTS.length];
    const name = `${direction} ${String(fault)}`;
    counts[name] = (counts[name] ?? 0) + 1;
    return fault;
  };

  const server = createServer((client) => {
    const service = connect(Number(port), hostname);
    carry('request', client, service, decide);
    carry('answer', service, client, decide);
    for (const socket of [client, service]) {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        open.delete(socket);
        client.destroy();
        service.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  return { url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`, counts };
}

function carry(
  direction: 'request' | 'answer',
  from: Socket,
  to: Socket,
  decide: (direction: 'request' | 'answer') => Fault | undefined,
): void {
  let silent = false;
  from.on('data', (piece: Buffer) => {
    if (silent) return;
    switch (decide(direction)) {
      case 'drop':
        silent = true;
        return;
      case 'delay':
        from.pause();
        setTimeout(() => {
          to.write(piece);
          from.resume();
        }, 50);
        return;
      case 'reset':
        from.resetAndDestroy();
        to.resetAndDestroy();
        return;
      case 'cut':
        to.end(piece.subarray(0, Math.floor(piece.length / 2)));
        silent = true;
        return;
      case undefined:
        to.write(piece);
    }
  });
  from.on('end', () => {
    if (!silent) to.end();
  });
}
