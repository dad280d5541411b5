import { UnusableStoreError } from '../store-errors.ts';

/** What `statfs` says about the file system of a folder. */
export type Statfs = (folder: string) => Readonly<Record<'type' | 'bsize' | 'blocks' | 'bavail', number>>;

/**
 * File systems on which LMDB cannot be trusted: its locks and its shared memory map must work between processes, and a sync must
 * reach a disk. The numbers are those of Linux (`include/uapi/linux/magic.h`). Elsewhere statfs gives others, and nothing is
 * refused.
 */
const REFUSED: Readonly<Record<number, string>> = {
  0x6969: 'NFS',
  0x517b: 'SMB',
  0xff534d42: 'CIFS',
  0xfe534d42: 'SMB2',
  0x5346414f: 'AFS',
  0x6b414653: 'AFS',
  0x73757245: 'Coda',
};

const DOUBTFUL: Readonly<Record<number, string>> = {
  0x65735546: 'FUSE',
  0x01021997: '9p',
  0x00c36400: 'Ceph',
  0x7461636f: 'OCFS2',
};

/**
 * @param type as `statfs` gives it.
 * @returns a warning, if there is one.
 * @throws an `UnusableStoreError` for a network file system.
 */
export function checkFileSystem(folder: string, type: number): string | undefined {
  // Some C libraries return the number with a sign.
  const kind = type >>> 0;
  const refused = REFUSED[kind];
  if (refused !== undefined) {
    throw new UnusableStoreError(
      `The data folder ${folder} is on a network file system (${refused}), where the store's locks and memory map do not work: ` +
        'events would be lost. Set DATA_DIR to a folder on a local disk, or use STORE=dynamodb',
    );
  }
  const doubtful = DOUBTFUL[kind];
  if (doubtful === undefined) return undefined;
  return (
    `The data folder is on a file system of the kind ${doubtful}. Locks, memory maps and syncs may not work there; ` +
    'a local disk is safe'
  );
}
