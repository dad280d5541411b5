import { open } from 'lmdb';
import type { Database } from 'lmdb';
import type { Entry } from './record.ts';

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
  /** Empties a table of an earlier version; nothing happens where there is none. Takes time with its branch pages, not its entries. */
  clear(name: string): void;
  /** Runs the function in a transaction that is undone when it throws. Resolves when it is committed and synced. */
  transact(run: () => void): Promise<unknown>;
  close(): Promise<void>;
}

export function openLmdb(file: string): Lmdb {
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
      maxDbs: 12,
      ...binary,
    });
  } finally {
    process.umask(umask);
  }
  const table = (name: string): Table => root.openDB<Buffer, Buffer>({ name, ...binary });
  return {
    events: table('events'),
    ids: table('ids'),
    inbox: table('inbox'),
    keys: table('keys'),
    claims: table('claims'),
    claimsByExpiry: table('claims-by-expiry'),
    clear(name) {
      // Neither the option nor that there may be no table is declared. Not dropped: that would free its handle for another table.
      const old = root.openDB<Buffer, Buffer>({ name, ...binary, ...{ create: false } }) as Table | undefined;
      if (old !== undefined && [...old.getKeys({ limit: 1 })].length > 0) old.clearSync();
    },
    // A plain `transaction` commits what came before a throw (lmdb-js 3.5.6); a child transaction is undone. It costs
    // nothing that could be measured: docs/decisions/001-one-transaction-per-batch.md.
    transact: (run) => root.childTransaction(run),
    close: () => root.close(),
  };
}

/** The value without a copy: good until the next read. */
export function readValue(table: Table, key: Buffer): Buffer | undefined {
  const value = table.getBinaryFast(key);
  // lmdb-js hands out the head of a larger buffer and sets `length` on it: this is a buffer that really ends there.
  return value?.subarray(0, value.length);
}

/** Puts an entry whose key is new and greater than all others, or failing that, new. @throws Error when it is not new. */
export function appendEntry(table: Table, { key, value }: Entry): void {
  if (putTold(table, key, value, { append: true })) return;
  if (!putTold(table, key, value, { noOverwrite: true })) {
    throw new Error(
      `There is a record already under ${key.toString('hex')}: another process writes to this folder`,
    );
  }
}

/** Whether the entry went in: within a transaction `putSync` tells, though its declaration does not say so. */
function putTold(table: Table, key: Buffer, value: Buffer, options: object): boolean {
  const put = table.putSync.bind(table) as (key: Buffer, value: Buffer, options: object) => unknown;
  return put(key, value, options) === true;
}
