import { open } from 'lmdb';
import type { Database } from 'lmdb';
import { checkLmdbFile } from './lmdb-file.ts';
import type { Entry } from './seal.ts';

export type Table = Database<Buffer, Buffer>;

/** One LMDB file. Reads outside of a transaction see all that is committed, within one turn the same snapshot. */
export interface Lmdb {
  /** sequence -> event record */
  readonly events: Table;
  /** id -> sequence and tenant */
  readonly ids: Table;
  /** (tenant, sequence) -> source and type, of pending events */
  readonly inbox: Table;
  /** id of an API key -> its record */
  readonly keys: Table;
  /** claim key -> the event that has it, its content and until when */
  readonly claims: Table;
  /** (expiry, claim key) -> nothing: claims live for different times, so they do not lie in the order of their end */
  readonly claimsByExpiry: Table;
  /** name -> what the store has to remember of itself */
  readonly meta: Table;
  /** Bytes of the file's pages that no table is using. */
  readonly reusable: () => number;
  /** Where the last page that LMDB has taken into use ends in the file; outside of a transaction and within. 2 µs. */
  readonly end: () => number;
  /** Empties a table of an earlier version; nothing happens where there is none. Takes time with its branch pages, not its entries. */
  clear(name: string): void;
  /** Runs the function in a transaction that is undone when it throws. Resolves when it is committed and synced. */
  transact(run: () => void): Promise<unknown>;
  /** Copies the file as of one moment to one that is not there yet, and looks at the copy. */
  readonly backUp: (file: string) => Promise<void>;
  close(): Promise<void>;
}

/**
 * @param check looks at `meta` before any other table is opened, or made; what it throws closes the file again.
 * @throws Error for people when the file is damaged, LMDB's own when it cannot be opened for another reason.
 */
export function openLmdb(file: string, check: (meta: Table) => void): Lmdb {
  checkLmdbFile(file);
  const binary = { encoding: 'binary', keyEncoding: 'binary', cache: false } as const;
  // Payloads and hashes are nobody else's, whatever the mode of a folder that was there before.
  const umask = process.umask(0o077);
  let root;
  try {
    root = open<Buffer, Buffer>({
      path: file,
      noSubdir: true,
      // A commit then ends with its fsync. Never noSync, useWritemap or mapAsync: they answer before the disk does.
      overlappingSync: false,
      // There is one transaction at a time. Batched by turns (lmdb-js 3.5.6, write.js), it has a second promise that nobody
      // can get at, whose rejection ends the process when a commit fails.
      eventTurnBatching: false,
      maxDbs: 12,
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
    // Nothing has been written that its promise would have to be awaited for.
    void root.close();
    throw error;
  }
  const tables = {
    meta,
    events: table('events'),
    ids: table('ids'),
    inbox: table('inbox'),
    keys: table('keys'),
    claims: table('claims'),
    claimsByExpiry: table('claims-by-expiry'),
  };
  const { pageSize } = root.getStats() as TreeStats;
  // Not declared, as is what it tells.
  const { env } = root as unknown as { env: { info(): { lastPageNumber: number } } };
  return {
    ...tables,
    reusable: () => unusedBytes(root, Object.values(tables)),
    end: () => (env.info().lastPageNumber + 1) * pageSize,
    clear(name) {
      // Neither the option nor that there may be no table is declared. Not dropped: that would free its handle for another table.
      const old = root.openDB<Buffer, Buffer>({ name, ...binary, ...{ create: false } }) as Table | undefined;
      if (old !== undefined && [...old.getKeys({ limit: 1 })].length > 0) old.clearSync();
    },
    // A plain `transaction` commits what came before a throw (lmdb-js 3.5.6); a child transaction is undone. It costs
    // nothing that could be measured: docs/decisions/001-one-transaction-per-batch.md.
    transact: (run) => root.childTransaction(run),
    backUp: async (copy) => {
      // Not compact, which walks the tree: this is a copy in one go, and no more than the file itself can be.
      await root.backup(copy, false);
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

/** By what LMDB counts for each tree anyway: 20 µs a table. */
function unusedBytes(root: Table, tables: readonly Table[]): number {
  // lmdb-js does not declare what they are.
  const stats = (table: Table) => table.getStats() as TreeStats & { free: TreeStats; lastPageNumber: number };
  const pages = (tree: TreeStats) => tree.treeBranchPageCount + tree.treeLeafPageCount + tree.overflowPages;
  const whole = stats(root);
  const used = tables.reduce((sum, table) => sum + pages(stats(table)), pages(whole) + pages(whole.free));
  const META_PAGES = 2;
  return Math.max(0, whole.lastPageNumber + 1 - META_PAGES - used) * whole.pageSize;
}

/** The value without a copy: good until the next read. */
export function readValue(table: Table, key: Buffer): Buffer | undefined {
  const value = table.getBinaryFast(key);
  // lmdb-js hands out the head of a larger buffer and sets `length` on it: this is a buffer that really ends there.
  return value?.subarray(0, value.length);
}

/** Puts an entry whose key is new and greater than all others, or failing that, new. @throws Error when it is not new. */
export function appendEntry(table: Table, { key, value }: Entry): void {
  if (tryPut(table, key, value, { append: true })) return;
  if (!tryPut(table, key, value, { noOverwrite: true })) {
    throw new Error(
      `There is a record already under ${key.toString('hex')}: another process writes to this folder`,
    );
  }
}

/** Whether the entry went in: within a transaction `putSync` tells, though its declaration does not say so. */
function tryPut(table: Table, key: Buffer, value: Buffer, options: object): boolean {
  const put = table.putSync.bind(table) as (key: Buffer, value: Buffer, options: object) => unknown;
  return put(key, value, options) === true;
}
