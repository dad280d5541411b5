/**
 * `npm run bench -- lmdb-writes [--seconds 3] [--rounds 3]`: how fast this machine writes events to LMDB, by each way that lmdb-js
 * offers: docs/decisions/001 and 006.
 *
 * Closed loop: 64 callers, each of which writes its next event when the one before is on disk. An event is four puts. The
 * ways take turns, each round in a fresh file; the table has the median and the rounds.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { open } from 'lmdb';
import type { RootDatabase } from 'lmdb';
import { positive } from '../harness/arguments.ts';
import { introduction } from '../harness/machine.ts';
import { writtenBytes } from '../harness/written.ts';

const CALLERS = [1, 64];
const RECORD = Buffer.alloc(700, 'x');
const SMALL = Buffer.alloc(40, 'x');

/** Writes one event; resolves when it is on disk. */
type Way = (root: RootDatabase<Buffer, Buffer>) => () => Promise<unknown>;

const ways: Record<string, Way> = {
  'async puts, batched by lmdb-js': (root) => {
    const tables = openTables(root);
    return () =>
      root.batch(() => {
        putEvent(tables, true);
      });
  },
  'one transaction a batch': (root) => grouped(root, (run) => root.transaction(run), true),
  'one child transaction a batch': (root) => grouped(root, (run) => root.childTransaction(run), true),
  'the same, without append': (root) => grouped(root, (run) => root.childTransaction(run), false),
  'the same, without the index of ids': (root) =>
    grouped(root, (run) => root.childTransaction(run), true, false),
  'one transaction an event': (root) => {
    const tables = openTables(root);
    return () => {
      root.transactionSync(() => {
        putEvent(tables, true);
      });
      return Promise.resolve();
    };
  },
};

function grouped(
  root: RootDatabase<Buffer, Buffer>,
  transact: (run: () => void) => Promise<unknown>,
  append: boolean,
  indexed = true,
) {
  const tables = openTables(root);
  let waiting: (() => void)[] = [];
  let committing = false;
  const commitAll = async () => {
    committing = true;
    while (waiting.length > 0) {
      let batch: (() => void)[] = [];
      await transact(() => {
        batch = waiting;
        waiting = [];
        batch.forEach(() => {
          putEvent(tables, append, indexed);
        });
      });
      for (const done of batch) done();
    }
    committing = false;
  };
  return () =>
    new Promise<void>((resolve) => {
      waiting.push(resolve);
      if (!committing) void commitAll();
    });
}

function openTables(root: RootDatabase<Buffer, Buffer>) {
  const table = (name: string) =>
    root.openDB<Buffer, Buffer>({ name, encoding: 'binary', keyEncoding: 'binary', cache: false });
  return { events: table('events'), ids: table('ids'), inbox: table('inbox'), counts: table('counts') };
}

let sequence = 0n;

function putEvent(tables: ReturnType<typeof openTables>, append: boolean, indexed = true): void {
  const key = Buffer.allocUnsafe(8);
  key.writeBigUInt64BE(++sequence);
  // Bound, since the declared `put` has no options of this kind.
  const put = tables.events.put.bind(tables.events) as (
    key: Buffer,
    value: Buffer,
    options?: object,
  ) => unknown;
  put(key, RECORD, append ? { append: true } : undefined);
  if (indexed) void tables.ids.put(randomBytes(16), key);
  void tables.inbox.put(Buffer.concat([Buffer.from('tenant\0'), key]), SMALL);
  void tables.counts.put(Buffer.from('tenant'), key);
}

async function round(way: Way, callers: number, seconds: number) {
  const folder = mkdtempSync(join(tmpdir(), 'lmdb-writes-'));
  const root = open<Buffer, Buffer>({
    path: join(folder, 'store.mdb'),
    overlappingSync: false,
    encoding: 'binary',
    keyEncoding: 'binary',
    cache: false,
  });
  const write = way(root);
  const times: number[] = [];
  const cpuBefore = process.cpuUsage();
  const writtenBefore = writtenBytes(process.pid) ?? NaN;
  const end = performance.now() + seconds * 1000;
  const caller = async () => {
    for (let now = performance.now(); now < end;) {
      await write();
      const after = performance.now();
      times.push(after - now);
      now = after;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const { user, system } = process.cpuUsage(cpuBefore);
  const written = (writtenBytes(process.pid) ?? NaN) - writtenBefore;
  await root.close();
  const { size } = statSync(join(folder, 'store.mdb'));
  rmSync(folder, { recursive: true });
  times.sort((a, b) => a - b);
  return {
    rate: Math.round(times.length / seconds),
    p95: times[Math.floor(times.length * 0.95)] ?? NaN,
    cpu: (user + system) / times.length,
    bytes: size / times.length,
    written: written / times.length,
  };
}

export async function lmdbWrites(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { seconds: { type: 'string', default: '3' }, rounds: { type: 'string', default: '3' } },
  });
  const [seconds, rounds] = [positive('seconds', values.seconds), positive('rounds', values.rounds)];
  console.error(`${introduction()}; files in ${tmpdir()}`);
  console.log(
    '| way | callers | events/s | p95 ms | µs of CPU an event | bytes of file an event | bytes written an event | rounds |\n| --- | --- | --- | --- | --- | --- | --- | --- |',
  );
  for (const callers of CALLERS) {
    const results = new Map<string, Awaited<ReturnType<typeof round>>[]>();
    for (let i = 0; i < rounds; i++) {
      for (const [name, way] of Object.entries(ways)) {
        results.set(name, [...(results.get(name) ?? []), await round(way, callers, seconds)]);
      }
    }
    for (const [name, list] of results) {
      const sorted = [...list].sort((a, b) => a.rate - b.rate);
      const median = sorted[Math.floor(sorted.length / 2)];
      const all = list.map(({ rate }) => rate).join(', ');
      if (median === undefined) continue;
      const columns = [
        name,
        callers,
        median.rate,
        median.p95.toFixed(1),
        median.cpu.toFixed(0),
        median.bytes.toFixed(0),
        median.written.toFixed(0),
      ];
      console.log(`| ${columns.join(' | ')} | ${all} |`);
    }
  }
  return 0;
}
