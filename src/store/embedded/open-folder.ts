import { statfsSync } from 'node:fs';
import { openLmdb } from './database.ts';
import type { Lmdb } from './database.ts';
import { checkFileSystem } from './file-system.ts';
import { syncFolder, takeFolder } from './folder.ts';
import type { Folder } from './folder.ts';
import { checkFormat, checkKnownFormat } from './format.ts';
import type { EmbeddedOptions } from './embedded-store.ts';

/**
 * Takes the folder and opens the file in it, once both have passed all checks.
 *
 * @throws an Error that names the folder or the file, with a message that is fit for people.
 */
export function openFolder(
  { path, log, exclusive = true, create = true, statfs = statfsSync }: EmbeddedOptions,
  onDamage: (error: Error) => void,
): { folder: Folder; lmdb: Lmdb } {
  const folder = takeFolder(path, exclusive, create);
  try {
    const warning = checkFileSystem(path, statfs(path).type);
    if (warning !== undefined) log.warn({ data_dir: path }, warning);
    const lmdb = openLmdb(folder.file, (meta) => {
      // A command beside a server of an older version must not keep that from starting again.
      if (exclusive) checkFormat(meta, folder.file, onDamage);
      else checkKnownFormat(meta, folder.file);
    });
    syncFolder(path);
    return { folder, lmdb };
  } catch (error) {
    folder.release();
    throw error;
  }
}
