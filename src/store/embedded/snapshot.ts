import { existsSync, rmSync, statSync } from 'node:fs';
import { open } from 'lmdb';
import { UnusableStoreError } from '../store-errors.ts';
import { checkLmdbFile } from './lmdb-file.ts';
import { MAX_TABLES, type Table } from './database.ts';
import { checkKnownFormat } from './format.ts';
import type { Entry } from './seal.ts';

/** In the order in which they are read: a damaged event is found before what refers to it. */
export const TABLES = [
  'meta',
  'events',
  'inbox',
  'done',
  'ids',
  'claims',
  'claims-by-expiry',
  'keys',
] as const;
export type TableName = (typeof TABLES)[number];

/** All tables of an LMDB file as they are at one moment, whatever a server writes meanwhile. */
export interface Snapshot {
  /** All entries of a table, copied. A table that the file does not have is empty. */
  entries(table: TableName): Iterable<Entry>;
  /** The value, without a copy: it is valid only until the next read. */
  get(table: TableName, key: Buffer): Buffer | undefined;
  /** How many entries LMDB counts in each table. It adds up as it writes, and does not look. */
  readonly counts: Readonly<Record<TableName, number>>;
  close(): Promise<void>;
}

/**
 * Opens a file for reading only. As long as the snapshot is open, a server that writes to the file cannot use again what it frees.
 * A process must not have the file open already: lmdb-js blocks for good.
 *
 * @throws an `UnusableStoreError` when the file is damaged; LMDB's own error when it cannot be opened for another reason.
 */
export function openSnapshot(file: string): Snapshot {
  checkLmdbFile(file);
  // LMDB would make a store of it, and for reading only it cannot.
  if (statSync(file).size === 0) throw new UnusableStoreError(`The store file ${file} is empty`);
  const lockFile = `${file}-lock`;
  const hadLockFile = existsSync(lockFile);
  const binary = { encoding: 'binary', keyEncoding: 'binary', cache: false } as const;
  const root = open<Buffer, Buffer>({
    path: file,
    noSubdir: true,
    readOnly: true,
    maxDbs: MAX_TABLES,
    ...binary,
  });
  const tables = new Map<TableName, Table>();
  for (const name of TABLES) {
    // lmdb-js does not declare that the result is undefined for a table that is not there.
    const table = root.openDB<Buffer, Buffer>({ name, ...binary }) as Table | undefined;
    if (table !== undefined) tables.set(name, table);
  }
  const meta = tables.get('meta');
  if (meta === undefined) {
    void root.close();
    throw new UnusableStoreError(`The file ${file} is not one of this service: it has no table "meta"`);
  }
  try {
    checkKnownFormat(meta, file);
  } catch (error) {
    void root.close();
    throw error;
  }
  // Once for all reads: a transaction of lmdb-js's own is renewed with each turn of the event loop.
  const transaction = root.useReadTransaction();
  // Before the turn ends: statistics come from the transaction that lmdb-js uses in it, which is this one.
  const counts = Object.fromEntries(TABLES.map((name) => [name, countOf(tables.get(name))])) as Record<
    TableName,
    number
  >;

  return {
    *entries(name) {
      for (const { key, value } of tables.get(name)?.getRange({ transaction }) ?? []) {
        yield { key: Buffer.from(key), value: Buffer.from(value) };
      }
    },
    get(name, key) {
      const table = tables.get(name);
      const read = table?.getBinaryFast.bind(table) as
        ((key: Buffer, options: object) => Buffer | undefined) | undefined;
      const value = read?.(key, { transaction });
      // lmdb-js returns the start of a larger buffer and sets `length` on it. A subarray really ends there.
      return value?.subarray(0, value.length);
    },
    counts,
    async close() {
      transaction.done();
      await root.close();
      // Of a backup that nobody else has open.
      if (!hadLockFile) rmSync(lockFile, { force: true });
    },
  };
}

function countOf(table: Table | undefined): number {
  // lmdb-js does not declare the type of statistics.
  return table === undefined ? 0 : (table.getStats() as { entryCount: number }).entryCount;
}
