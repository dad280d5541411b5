/**
 * `npm run bench -- layouts [--events 40000] [--rounds 3]`: what an event costs in LMDB, stored and acknowledged, by the layout of
 * its tables, with one tenant and with 10,000: docs/decisions/034-acknowledged-in-a-table-of-its-own.md.
 *
 * Transactions of 200 events, one after the other, each synced. The file has 100,000 pending events at the start; tenants come at
 * random, and acknowledgements follow the order of the events, mixed within 2,000. The layouts take turns, each round in a fresh
 * file; the table has medians.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { open } from 'lmdb';
import { positive } from '../harness/arguments.ts';
import { introduction } from '../harness/machine.ts';
import { writtenBytes } from '../harness/written.ts';

const TOGETHER = 200;
const STORED = 100_000;
const MIXED_WITHIN = 2_000;
const TENANTS = [1, 10_000];
const RECORD = Buffer.alloc(700, 'x');
/** Source and type, or a time. */
const FILTERED = Buffer.alloc(40, 'x');
const TIME = Buffer.alloc(13, 'x');

interface Pending {
  readonly sequence: number;
  readonly tenant: string;
}
type Tables = ReturnType<typeof openTables>;

type Run = (tables: Tables, list: readonly Pending[]) => void;

interface Layout {
  readonly store: Run;
  readonly acknowledge: Run;
}

const layouts: Readonly<Record<string, Layout>> = {
  'inbox by tenant; the record is written again': {
    store: storeByTenant,
    acknowledge({ events, inbox }, list) {
      for (const event of list) {
        events.putSync(timeKey(event), RECORD);
        inbox.removeSync(tenantKey(event));
      }
    },
  },
  'inbox by tenant, done by tenant': {
    store: storeByTenant,
    acknowledge({ inbox, done }, list) {
      for (const event of list) {
        inbox.removeSync(tenantKey(event));
        done.putSync(tenantKey(event), TIME);
      }
    },
  },
  'inbox by tenant, done by time': { store: storeByTenant, acknowledge: doneByTime },
  'the same, inbox sorted within a transaction': {
    store: (tables, list) => {
      storeByTenant(tables, list, sorted(list));
    },
    acknowledge: (tables, list) => {
      doneByTime(tables, list, sorted(list));
    },
  },
  'inbox by time, done by time': {
    store({ events, inbox }, list) {
      for (const event of list) {
        putLast(events, timeKey(event), RECORD);
        putLast(inbox, timeKey(event), FILTERED);
      }
    },
    acknowledge({ inbox, done }, list) {
      for (const event of list) {
        inbox.removeSync(timeKey(event));
        done.putSync(timeKey(event), TIME);
      }
    },
  },
};

function storeByTenant({ events, inbox }: Tables, list: readonly Pending[], inboxOrder = list): void {
  for (const event of list) putLast(events, timeKey(event), RECORD);
  for (const event of inboxOrder) inbox.putSync(tenantKey(event), FILTERED);
}

function doneByTime({ inbox, done }: Tables, list: readonly Pending[], inboxOrder = list): void {
  for (const event of inboxOrder) inbox.removeSync(tenantKey(event));
  for (const event of list) done.putSync(timeKey(event), TIME);
}

function sorted(list: readonly Pending[]): Pending[] {
  return [...list].sort((a, b) => (a.tenant < b.tenant ? -1 : a.tenant > b.tenant ? 1 : 0));
}

function timeKey({ sequence }: Pending): Buffer {
  const key = Buffer.alloc(8);
  key.writeBigUInt64BE(BigInt(sequence));
  return key;
}

function tenantKey(event: Pending): Buffer {
  return Buffer.concat([Buffer.from(`${event.tenant}\0`, 'latin1'), timeKey(event)]);
}

function putLast(table: Tables['events'], key: Buffer, value: Buffer): void {
  // The declared `putSync` has no options of this kind.
  const put = table.putSync.bind(table) as (key: Buffer, value: Buffer, options: object) => unknown;
  put(key, value, { append: true });
}

const binary = { encoding: 'binary', keyEncoding: 'binary', cache: false } as const;

function openFile(folder: string) {
  const path = join(folder, 'store.mdb');
  return open<Buffer, Buffer>({ path, overlappingSync: false, eventTurnBatching: false, ...binary });
}

function openTables(root: ReturnType<typeof openFile>) {
  const table = (name: string) => root.openDB<Buffer, Buffer>({ name, ...binary });
  return { events: table('events'), inbox: table('inbox'), done: table('done') };
}

interface Cost {
  readonly rate: number;
  /** Microseconds of CPU, and bytes written, of one event. */
  readonly cpu: number;
  readonly written: number;
}

async function round(layout: Layout, tenants: number, events: number) {
  const folder = mkdtempSync(join(tmpdir(), 'layouts-'));
  const root = openFile(folder);
  try {
    const tables = openTables(root);
    let sequence = 1.7e15;
    const make = (count: number): Pending[] =>
      Array.from({ length: count }, () => ({
        sequence: ++sequence,
        tenant: `tenant-${String(Math.floor(Math.random() * tenants))}`,
      }));
    const inTransactions = async (list: readonly Pending[], size: number, run: Run) => {
      for (let at = 0; at < list.length; at += size) {
        await root.childTransaction(() => {
          run(tables, list.slice(at, at + size));
        });
      }
    };
    const old = make(STORED);
    await inTransactions(old, 10_000, layout.store);
    const stored = await costOf(events, () => inTransactions(make(events), TOGETHER, layout.store));
    const acknowledged = mixed(old.slice(0, events));
    const done = await costOf(acknowledged.length, () =>
      inTransactions(acknowledged, TOGETHER, layout.acknowledge),
    );
    return { stored, done };
  } finally {
    await root.close();
    rmSync(folder, { recursive: true });
  }
}

/** In a new order, in which nothing is further from its place than `MIXED_WITHIN`. */
function mixed(list: readonly Pending[]): Pending[] {
  return list
    .map((event, index) => ({ event, place: index + Math.random() * MIXED_WITHIN }))
    .sort((a, b) => a.place - b.place)
    .map(({ event }) => event);
}

async function costOf(events: number, run: () => Promise<void>): Promise<Cost> {
  const [cpu, written, start] = [process.cpuUsage(), writtenBytes(process.pid) ?? NaN, performance.now()];
  await run();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return {
    rate: events / seconds,
    cpu: (user + system) / events,
    written: ((writtenBytes(process.pid) ?? NaN) - written) / events,
  };
}

export async function layoutsStudy(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { events: { type: 'string', default: '40000' }, rounds: { type: 'string', default: '3' } },
  });
  const events = Math.min(STORED, positive('events', values.events));
  const rounds = positive('rounds', values.rounds);
  console.error(`${introduction()}; files in ${tmpdir()}`);
  console.log(
    '| layout | tenants | what | events/s | µs of CPU an event | bytes written an event | rounds |',
  );
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  for (const tenants of TENANTS) {
    const results = Object.keys(layouts).map((): Awaited<ReturnType<typeof round>>[] => []);
    for (let i = 0; i < rounds; i++) {
      for (const [index, layout] of Object.values(layouts).entries()) {
        results[index]?.push(await round(layout, tenants, events));
      }
    }
    for (const [index, name] of Object.keys(layouts).entries()) {
      for (const what of ['stored', 'done'] as const) {
        const list = (results[index] ?? []).map((result) => result[what]);
        const median = [...list].sort((a, b) => a.rate - b.rate)[Math.floor(list.length / 2)];
        if (median === undefined) continue;
        const numbers = [median.rate, median.cpu, median.written].map((number, column) =>
          number.toFixed(column === 1 ? 1 : 0),
        );
        const all = list.map(({ rate }) => rate.toFixed(0)).join(', ');
        console.log(`| ${[name, String(tenants), what, ...numbers, all].join(' | ')} |`);
      }
    }
  }
  return 0;
}
