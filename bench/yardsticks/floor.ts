/**
 * What no service on uWebSockets.js can beat: the same body read and parsed, and a reply. No key, no check, no store. For
 * health, a reply.
 * With `--lmdb`, the bare LMDB writes of one event besides, awaited: event, id, inbox entry and count, by the batches
 * that lmdb-js makes itself.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { App, us_socket_local_port } from 'uWebSockets.js';

const write = process.argv.includes('--lmdb') ? openLmdb() : undefined;

App()
  .get('/v1/health', (res) => {
    res.end('{"status":"healthy"}');
  })
  .post('/v1/events', (res) => {
    let aborted = false;
    let buffer = Buffer.alloc(0);
    res.onAborted(() => (aborted = true));
    res.onData((chunk, isLast) => {
      if (!isLast) {
        buffer = Buffer.concat([buffer, Buffer.from(chunk)]);
        return;
      }
      const bytes = buffer.length === 0 ? Buffer.from(chunk) : Buffer.concat([buffer, Buffer.from(chunk)]);
      const text = bytes.toString();
      JSON.parse(text);
      const reply = (): void => {
        if (aborted) return;
        res.cork(() => {
          res.writeStatus('201 Created');
          res.writeHeader('content-type', 'application/json');
          res.end(`{"event_id":"${randomUUID()}","status":"pending"}`);
        });
      };
      if (write === undefined) reply();
      else void write(text).then(reply);
    });
  })
  .listen('127.0.0.1', 0, (socket) => {
    if (socket === false) throw new Error('no port to listen on');
    const url = `http://127.0.0.1:${String(us_socket_local_port(socket))}`;
    console.log(JSON.stringify({ msg: 'listening', url }));
  });

function openLmdb(): (text: string) => Promise<unknown> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-floor-'));
  process.once('SIGTERM', () => {
    rmSync(folder, { recursive: true });
    process.exit();
  });
  const binary = { encoding: 'binary', keyEncoding: 'binary', cache: false } as const;
  const root = open<Buffer, Buffer>({ path: join(folder, 'floor.mdb'), overlappingSync: false, ...binary });
  const table = (name: string) => root.openDB<Buffer, Buffer>({ name, ...binary });
  const [events, ids, inbox, counts] = [table('events'), table('ids'), table('inbox'), table('counts')];
  const tenant = Buffer.from('tenant');
  let sequence = 0n;
  return (text) => {
    const key = Buffer.allocUnsafe(8);
    key.writeBigUInt64BE(++sequence);
    return root.batch(() => {
      void events.put(key, Buffer.from(text));
      void ids.put(randomBytes(16), key);
      void inbox.put(Buffer.concat([tenant, key]), key);
      void counts.put(tenant, key);
    });
  };
}
