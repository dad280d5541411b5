import { accessSync, closeSync, constants, existsSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { tryLock } from 'fs-native-extensions';
import { UnusableStoreError } from '../errors.ts';

const FILE = 'store.mdb';

export interface Folder {
  /** The LMDB file. */
  readonly file: string;
  /** Lets another server have the folder. */
  release(): void;
}

/**
 * Makes the folder (mode 0700) if there is none, and takes it for this process. The kernel drops the lock with the
 * process, however that ends: there is no stale lock to clear away.
 *
 * @param exclusive false: open beside a server, without a lock.
 * @param create false: the store must be there.
 * @throws UnusableStoreError that names the folder: no folder, not writable, or another server has it.
 */
export function takeFolder(path: string, exclusive: boolean, create: boolean): Folder {
  const folder = resolve(path);
  if (!create && !existsSync(join(folder, FILE))) {
    throw new UnusableStoreError(`There is no store in ${folder}; check DATA_DIR`);
  }
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UnusableStoreError(`The data folder ${folder} cannot be used: ${reason}`, { cause: error });
  }
  const lock = exclusive ? lockFolder(folder) : undefined;
  return {
    file: join(folder, FILE),
    release() {
      if (lock !== undefined) closeSync(lock);
    },
  };
}

/** LMDB syncs what is in its file. That the file is in the folder, and the folder in its parent, is ours to sync. */
export function syncFolder(path: string): void {
  for (const folder of [resolve(path), dirname(resolve(path))]) {
    const fd = openSync(folder, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }
}

function lockFolder(folder: string): number {
  const fd = openSync(join(folder, 'server.lock'), 'a', 0o600);
  if (tryLock(fd)) return fd;
  closeSync(fd);
  throw new UnusableStoreError(
    `The data folder ${folder} is in use by another server; stop it or set DATA_DIR to another folder`,
  );
}
