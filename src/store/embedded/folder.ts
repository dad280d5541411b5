import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { tryLock } from 'fs-native-extensions';
import { UnusableStoreError } from '../store-errors.ts';

const FILE = 'store.mdb';
const LOCK = 'server.lock';

/** What a new store takes at most, with its lock file. LMDB does not recover from a disk that fills up meanwhile. */
const NEW_STORE_BYTES = 256 * 1024;

export interface Folder {
  /** The LMDB file. */
  readonly file: string;
  /** Allows another server to take the folder. */
  release(): void;
}

/**
 * Creates the folder (mode 0700) if there is none, and takes it for this process. The kernel releases the lock when the process
 * ends, in whatever way, so there are no stale locks to clear away.
 *
 * @param exclusive false: the folder is used beside a server, without a lock.
 * @param create false: the store must exist.
 * @throws an `UnusableStoreError` that names the folder: there is none, it is not writable, has no space for a new store, or
 *   another server uses it.
 */
export function takeFolder(path: string, exclusive: boolean, create: boolean): Folder {
  const folder = resolve(path);
  if (!create && !existsSync(join(folder, FILE))) {
    throw new UnusableStoreError(`There is no store in ${folder}; check DATA_DIR`);
  }
  try {
    makeFolder(folder);
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    if (!existsSync(join(folder, FILE)) || !existsSync(join(folder, `${FILE}-lock`))) {
      tryToWrite(folder, NEW_STORE_BYTES);
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UnusableStoreError(`The data folder ${folder} cannot be used: ${reason}`, { cause: error });
  }
  if (!exclusive) checkPidNamespace(folder);
  const lock = exclusive ? lockFolder(folder) : undefined;
  return {
    file: join(folder, FILE),
    release() {
      if (lock !== undefined) closeSync(lock);
    },
  };
}

/**
 * The LMDB file of a folder that a process only reads, beside a server or not. Nothing is written or locked.
 *
 * @throws an `UnusableStoreError`: there is none, or a server uses it that LMDB could not tell from this process.
 */
export function storeFileIn(path: string): string {
  const file = join(resolve(path), FILE);
  if (!existsSync(file))
    throw new UnusableStoreError(`There is no store in ${resolve(path)}; check DATA_DIR`);
  checkPidNamespace(resolve(path));
  return file;
}

/**
 * Creates the folder and the folders above it. `recursive: true` is not used because Node 20 tries again for ever when the
 * parent exists and mkdir still answers ENOENT, as in /proc.
 */
function makeFolder(folder: string): void {
  const found = lstatSync(folder, { throwIfNoEntry: false });
  if (found?.isSymbolicLink() && !existsSync(folder)) {
    throw new Error('it is a symbolic link to a folder that does not exist');
  }
  if (found !== undefined) {
    if (!statSync(folder).isDirectory()) throw new Error('it is a file, not a folder');
    return;
  }
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    // Another process, started at the same moment, may have created it.
    if (!existsSync(folder)) throw error;
  }
}

/**
 * Throws the system's error unless a file of this many bytes can be written in the folder. It is really written, because statfs
 * does not show a quota or a limit of the process.
 */
function tryToWrite(folder: string, bytes: number): void {
  const probe = join(folder, 'probe.tmp');
  const fd = openSync(probe, 'w', 0o600);
  try {
    const block = Buffer.alloc(Math.min(bytes, 1024 * 1024), 0xa5);
    for (let written = 0; written < bytes;) {
      written += writeSync(fd, block, 0, Math.min(block.length, bytes - written));
    }
  } finally {
    closeSync(fd);
    rmSync(probe, { force: true });
  }
}

/** LMDB syncs the content of its file. This syncs the entry of the file in its folder, and of the folder in its parent. */
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
  const fd = openSync(join(folder, LOCK), 'a+', 0o600);
  if (tryLock(fd)) {
    ftruncateSync(fd);
    try {
      writeSync(fd, pidNamespace());
    } catch {
      // The disk is full. The text would only make a message clearer.
    }
    return fd;
  }
  closeSync(fd);
  throw new UnusableStoreError(
    `The data folder ${folder} is in use by another server; stop it or set DATA_DIR to another folder`,
  );
}

/**
 * LMDB identifies processes by their ids. Processes of two containers often have the same id. Then reads fail, or worse: a
 * process takes the other's entries in the table of readers for its own.
 */
function checkPidNamespace(folder: string): void {
  const path = join(folder, LOCK);
  const theirs = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (theirs === '' || theirs === pidNamespace()) return;
  const fd = openSync(path, 'r+');
  const isFree = tryLock(fd);
  closeSync(fd);
  if (isFree) return;
  throw new UnusableStoreError(
    `The server that uses ${folder} runs in another PID namespace, probably a container: run this command inside it, ` +
      'for example with "docker exec"',
  );
}

/** Empty where the system has no PID namespaces. */
function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}
