import { open } from 'lmdb';
import type { Database } from 'lmdb';
import { checkLmdbFile } from './lmdb-file.ts';
import type { Entry } from './seal.ts';

/** More than there are, with those of older versions. */
export const MAX_TABLES = 16;

export type Table = Database<Buffer, Buffer>;

/** One LMDB file. Reads outside a transaction see all that is committed; within one turn they see the same snapshot. */
export interface Lmdb {
  /** sequence -> event record */
  readonly events: Table;
  /** id -> sequence and tenant */
  readonly ids: Table;
  /** (tenant, sequence) -> source and type, of pending events */
  readonly inbox: Table;
  /** sequence -> when the event was acknowledged. Older versions wrote that into the record of the event. */
  readonly done: Table;
  /** id of an API key -> its record */
  readonly keys: Table;
  /** claim key -> the event that holds it, the fingerprint of its content, and when it ends */
  readonly claims: Table;
  /** (expiry, claim key) -> nothing. Claims live for different times, so they are not stored in the order in which they end. */
  readonly claimsByExpiry: Table;
  /** name -> what the store notes about itself */
  readonly meta: Table;
  /** Bytes in the file's pages that no table uses. */
  readonly reusable: () => number;
  /** Where the last page that LMDB uses ends in the file. Works outside a transaction and within; takes 2 µs. */
  readonly end: () => number;
  /** Empties a table of an earlier version, if there is one. Takes time with its branch pages, not with its entries. */
  clear(name: string): void;
  /** Runs the function in a transaction, which is undone when it throws. Resolves when it is committed and synced. */
  transact(run: () => void): Promise<unknown>;
  /** Copies the file as of one moment to a new file, and checks the copy. Compact: without the pages that no table uses. */
  readonly backUp: (file: string, compact: boolean) => Promise<void>;
  close(): Promise<void>;
}

/**
 * @param check looks at `meta` before any other table is opened or created. When it throws, the file is closed again.
 * @throws an `UnusableStoreError` when the file is damaged; LMDB's own error when it cannot be opened for another reason.
 */
export function openLmdb(file: string, check: (meta: Table) => void): Lmdb {
  checkLmdbFile(file);
  const binary = { encoding: 'binary', keyEncoding: 'binary', cache: false } as const;
  // Nobody else may read payloads and hashes, whatever the mode of a folder that existed before.
  const umask = process.umask(0o077);
  let root;
  try {
    root = open<Buffer, Buffer>({
      path: file,
      noSubdir: true,
      // With this a commit ends with its fsync. Never use noSync, useWritemap or mapAsync: they answer before the disk does.
      overlappingSync: false,
      // There is one transaction at a time. When lmdb-js (3.5.6, write.js) batches by turns, a transaction has a second promise
      // that is not accessible, and its rejection ends the process when a commit fails.
      eventTurnBatching: false,
      maxDbs: MAX_TABLES,
      ...binary,
    });
  } finally {
    process.umask(umask);
  }
  const table = (name: string): Table => root.openDB<Buffer, Buffer>({ name, ...binary });
  const meta = table('meta');
  try {
    check(meta);
  } catch (error) {
    // Nothing has been written, so there is no need to wait.
    void root.close();
    throw error;
  }
  const tables = {
    meta,
    events: table('events'),
    ids: table('ids'),
    inbox: table('inbox'),
    done: table('done'),
    keys: table('keys'),
    claims: table('claims'),
    claimsByExpiry: table('claims-by-expiry'),
  };
  const { pageSize } = root.getStats() as TreeStats;
  // lmdb-js does not declare `env` and `info`.
  const { env } = root as unknown as { env: { info(): { lastPageNumber: number } } };
  return {
    ...tables,
    reusable: () => unusedBytes(root, Object.values(tables)),
    end: () => (env.info().lastPageNumber + 1) * pageSize,
    clear(name) {
      // lmdb-js declares neither `create` nor that the result may be undefined. The table is not dropped, because that would free
      // its handle for another table.
      const old = root.openDB<Buffer, Buffer>({ name, ...binary, ...{ create: false } }) as Table | undefined;
      if (old !== undefined && [...old.getKeys({ limit: 1 })].length > 0) old.clearSync();
    },
    // A plain `transaction` commits what came before a throw (lmdb-js 3.5.6); a child transaction is undone. Its cost could not
    // be measured: docs/decisions/001-one-transaction-per-batch.md.
    transact: (run) => root.childTransaction(run),
    backUp: async (copy, compact) => {
      // A compact copy walks the tree, which takes longer. The other one is written in one go.
      await root.backup(copy, compact);
      checkLmdbFile(copy);
    },
    close: () => root.close(),
  };
}

interface TreeStats {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

/** Calculated from what LMDB counts for each tree anyway; takes 20 µs per table. */
function unusedBytes(root: Table, tables: readonly Table[]): number {
  // lmdb-js does not declare the type of statistics.
  const stats = (table: Table) => table.getStats() as TreeStats & { free: TreeStats; lastPageNumber: number };
  const pages = (tree: TreeStats) => tree.treeBranchPageCount + tree.treeLeafPageCount + tree.overflowPages;
  const whole = stats(root);
  const used = tables.reduce((sum, table) => sum + pages(stats(table)), pages(whole) + pages(whole.free));
  const META_PAGES = 2;
  return Math.max(0, whole.lastPageNumber + 1 - META_PAGES - used) * whole.pageSize;
}

/** The value, without a copy: it is valid only until the next read. */
export function readValue(table: Table, key: Buffer): Buffer | undefined {
  const value = table.getBinaryFast(key);
  // lmdb-js returns the start of a larger buffer and sets `length` on it. A subarray really ends there.
  return value?.subarray(0, value.length);
}

/** Puts an entry whose key is new, and usually greater than all others. @throws Error when the key exists already. */
export function appendEntry(table: Table, { key, value }: Entry): void {
  if (tryPut(table, key, value, { append: true })) return;
  if (!tryPut(table, key, value, { noOverwrite: true })) {
    throw new Error(
      `There is a record already under ${key.toString('hex')}: another process writes to this folder`,
    );
  }
}

/** Returns whether the entry was put. Within a transaction `putSync` returns that, although its declaration does not say so. */
function tryPut(table: Table, key: Buffer, value: Buffer, options: object): boolean {
  const put = table.putSync.bind(table) as (key: Buffer, value: Buffer, options: object) => unknown;
  return put(key, value, options) === true;
}
