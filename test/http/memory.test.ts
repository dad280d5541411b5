import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { startTestApp } from '../support/app.ts';

const CLIENTS = 200;
const BODY_BYTES = 500_000;
/** Half of the 128 MiB that bodies may hold: what a tenant alone gets. */
const SHARE_BYTES = 64 * 1024 * 1024;
const REFUSED = CLIENTS - Math.floor(SHARE_BYTES / BODY_BYTES);

void t.test('bodies that come slowly have a bound, and what they held is free when they go', async (t) => {
  const app = await startTestApp(t);
  const { hostname, port } = new URL(app.url);
  const answers: string[] = [];
  let allRefused: () => void;
  const enough = new Promise<void>((resolve) => (allRefused = resolve));
  const sockets = await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const socket = connect(Number(port), hostname);
      socket.on('error', () => undefined);
      socket.once('data', (data: Buffer) => {
        answers.push(data.toString());
        if (answers.length === REFUSED) allRefused();
      });
      await once(socket, 'connect');
      socket.write(`${postHead(BODY_BYTES)}{`);
      return socket;
    }),
  );
  await enough;
  for (const answer of answers) {
    t.match(answer, /^HTTP\/1.1 503 Service Unavailable\r\n[^]*retry-after: 1\r\n[^]*SERVICE_UNAVAILABLE/i);
  }
  t.match(app.logged, [
    {},
    { level: 'warn', msg: 'request refused', reason: /too many bytes of request bodies/ },
  ]);
  for (const socket of sockets) socket.destroy();
  const text = 'x'.repeat(300_000);
  const body = ['{"source":"s","event_type":"t",', `"payload":{"text":"${text}"}}`];
  for (let tries = 0; !(await sendInPieces(app.url, body)).startsWith('HTTP/1.1 201'); tries++) {
    if (tries === 100) throw new Error('what the bodies held was not given back');
  }
  t.equal(answers.length, REFUSED, 'nobody beyond those was refused');
});

/** A body that comes in pieces, so that the service has to hold the first one. */
async function sendInPieces(url: string, [first = '', rest = '']: string[]): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname).setNoDelay(true);
  const length = Buffer.byteLength(first) + Buffer.byteLength(rest);
  await once(socket, 'connect');
  socket.write(`${postHead(length)}${first}`);
  await sleep(20);
  socket.write(rest);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return answer.toString();
}

function postHead(length: number): string {
  return `POST /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: ${LOCAL_KEY}\r\nContent-Length: ${String(length)}\r\n\r\n`;
}
