import { randomUUID } from 'node:crypto';
import { readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { open } from 'lmdb';
import type { Test } from 'tap';
import type { StoredEvent } from '../../src/store/event.ts';
import { openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import type { EmbeddedOptions } from '../../src/store/embedded/embedded-store.ts';
import { sampleEvent } from '../../bench/harness/event.ts';
import { quietLog } from './quiet-log.ts';

/** An embedded store with a clock of its own, and what it reports. Closed at the end of the test. */
export async function openTestStore(t: Test, path: string, options: Partial<EmbeddedOptions> = {}) {
  const clock = { time: Date.now() * 1000 };
  const damage: string[] = [];
  const warnings: string[] = [];
  const store = await openEmbeddedStore({
    path,
    now: () => clock.time,
    monotonicMs: () => clock.time / 1000,
    eventTtl: TTL,
    sweepSeconds: 0,
    log: {
      ...quietLog,
      error: (detail) => damage.push((detail as { err: Error }).err.message),
      warn: (_, message) => warnings.push(message),
    },
    onFatal: (error) => {
      t.fail(error);
    },
    ...options,
  });
  t.teardown(() => store.close().catch(() => undefined));
  const event = (fields: Partial<StoredEvent> = {}): StoredEvent =>
    sampleEvent(fields.createdAt ?? ++clock.time, fields);
  const add = async (fields?: Partial<StoredEvent>) => {
    const one = event(fields);
    await store.append(one);
    return one;
  };
  /** An event with an id that the store made. */
  const addOwn = (fields: Partial<StoredEvent> = {}) => {
    const { tenant, createdAt } = event(fields);
    return add({ ...fields, createdAt, id: store.newId(tenant, createdAt) });
  };
  const inbox = async (filter: { source?: string; type?: string } = {}) => {
    const { events } = await store.listPending('acme', { limit: 1000, after: null, ...filter });
    return events;
  };
  /** The store reads what another handle has written as of its next commit or turn, whichever is first: this is a commit. */
  const refresh = () => store.remove('acme', randomUUID());
  return { store, clock, damage, warnings, event, add, addOwn, inbox, refresh };
}

/**
 * Makes a store with so many bytes of events in it, and the tail behind them. Where its file may then not be written so far any
 * more (`ulimit -f`), nothing tells before a commit fails.
 */
export async function makeStore(t: Test, path: string, bytes = 0): Promise<void> {
  const { store, add } = await openTestStore(t, path);
  await add();
  const payload = JSON.stringify({ fill: 'x'.repeat(100_000) });
  for (let left = bytes; left > 0; left -= payload.length) await add({ payload });
  await store.close();
}

/** Takes the tail from a file that is not open: it ends with the last page that LMDB has taken into use. */
export function cutTail(file: string): void {
  truncateSync(file, (lastPage(file) + 1) * 4096);
}

export function lastPage(file: string): number {
  const bytes = readFileSync(file);
  const [first, second] = [0, 4096].map((meta) => Number(bytes.readBigUInt64LE(meta + 24 + 24 + 2 * 48)));
  return Math.max(first ?? 0, second ?? 0);
}

export const TTL = 1e12;

export type Name = 'events' | 'ids' | 'inbox' | 'done' | 'keys' | 'claims' | 'claims-by-expiry';

/** Time from expiry to deletion. */
export const MARGIN = 86_400e6;

const binary = { encoding: 'binary', keyEncoding: 'binary', cache: false } as const;

/** The same LMDB file, opened by another handle. */
export function openRoot(t: Test, path: string) {
  const root = open<Buffer, Buffer>({
    path: join(path, 'store.mdb'),
    noSubdir: true,
    overlappingSync: false,
    ...binary,
  });
  t.teardown(() => root.close());
  return root;
}

/** Its tables, to look at them and to damage them. */
export function openRaw(t: Test, path: string) {
  return tablesOf(openRoot(t, path));
}

/** What the folder notes about itself, by the same handle. */
export function openRawMeta(t: Test, path: string) {
  return openRoot(t, path).openDB<Buffer, Buffer>({ name: 'meta', ...binary });
}

export function tablesOf(root: ReturnType<typeof openRoot>) {
  const table = (name: Name) => root.openDB<Buffer, Buffer>({ name, ...binary });
  return {
    events: table('events'),
    ids: table('ids'),
    inbox: table('inbox'),
    done: table('done'),
    keys: table('keys'),
    claims: table('claims'),
    'claims-by-expiry': table('claims-by-expiry'),
  };
}

/** Copies, because a value from LMDB is valid only until the next read. */
export function entries(table: ReturnType<typeof openRaw>[Name]): { key: Buffer; value: Buffer }[] {
  return Array.from(table.getRange({}), ({ key, value }) => ({
    key: Buffer.from(key),
    value: Buffer.from(value),
  }));
}

/** A copy with one flipped bit in byte `index`. */
export function flipped(buffer: Buffer, index: number): Buffer {
  const copy = Buffer.from(buffer);
  copy[index] = (copy[index] ?? 0) ^ (1 << (index % 8));
  return copy;
}
