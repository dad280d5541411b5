/**
 * What no service on uWebSockets.js can beat: the same body read and parsed, and a reply. No key, no check, no store. For
 * health, a reply.
 * With `--lmdb`, the bare LMDB writes of one event besides, on disk before the reply, in the layout of the embedded store:
 * the event appended under its sequence, and an entry in its inbox. What waits while a transaction is synced is the next one.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { App, us_socket_local_port } from 'uWebSockets.js';

/** As many bytes as the service keeps of them for an event of the benchmark. */
const SOURCE_AND_TYPE = Buffer.alloc(17);

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
      else write(text, reply);
    });
  })
  .listen('127.0.0.1', 0, (socket) => {
    if (socket === false) throw new Error('no port to listen on');
    const url = `http://127.0.0.1:${String(us_socket_local_port(socket))}`;
    console.log(JSON.stringify({ msg: 'listening', url }));
  });

/** Calls `done` once the text is on disk. */
function openLmdb(): (text: string, done: () => void) => void {
  const folder = mkdtempSync(join(tmpdir(), 'bench-floor-'));
  process.once('SIGTERM', () => {
    rmSync(folder, { recursive: true });
    process.exit();
  });
  const binary = { encoding: 'binary', keyEncoding: 'binary', cache: false } as const;
  const durable = { overlappingSync: false, eventTurnBatching: false };
  const root = open<Buffer, Buffer>({ path: join(folder, 'floor.mdb'), ...durable, ...binary });
  const [events, inbox] = ['events', 'inbox'].map((name) => root.openDB<Buffer, Buffer>({ name, ...binary }));
  const tenant = Buffer.from('benchmark\0');
  let sequence = BigInt(Date.now()) * 1000n;
  let waiting: { readonly text: string; readonly done: () => void }[] = [];
  let committing = false;

  const put = (text: string): void => {
    const key = Buffer.allocUnsafe(8);
    key.writeBigUInt64BE(++sequence);
    events?.putSync(key, Buffer.from(text), { append: true });
    inbox?.putSync(Buffer.concat([tenant, key]), SOURCE_AND_TYPE);
  };
  const commitAll = async (): Promise<void> => {
    committing = true;
    while (waiting.length > 0) {
      let batch: typeof waiting = [];
      await root.transaction(() => {
        [batch, waiting] = [waiting, []];
        for (const { text } of batch) put(text);
      });
      for (const { done } of batch) done();
    }
    committing = false;
  };
  return (text, done) => {
    waiting.push({ text, done });
    if (!committing) void commitAll();
  };
}
