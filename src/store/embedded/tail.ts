import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';

/**
 * The end of the store's file, behind LMDB's last page. It is written ahead, so that the disk has given this room already: LMDB can
 * grow into it when not a byte is free, whatever its readers keep it from using again, and no other process can take it.
 */
export interface Tail {
  /** How long it is; 0 or less where LMDB has come to the end of the file. */
  bytes(): number;
  /**
   * Makes it at least so long. To be called within a transaction and before its first put: LMDB, in this process or another, must
   * not write at the end of the file meanwhile.
   *
   * @returns false when the file cannot grow so much; it may have grown by less.
   */
  grow(bytes: number): boolean;
  close(): void;
}

/** Not more at once: what is then written to a page of the cache would be counted, for a container say, as all that came in one go. */
const BLOCK_BYTES = 16 * 1024;

/** @param end where LMDB's last page ends in the file. */
export function openTail(file: string, end: () => number): Tail {
  const fd = openSync(file, 'r+');
  // Random, lest a file system that compresses keeps less than it says.
  const block = randomBytes(BLOCK_BYTES);
  const bytes = () => fstatSync(fd).size - end();
  return {
    bytes,
    grow(wanted) {
      try {
        const needed = end() + wanted;
        for (let size = fstatSync(fd).size; size < needed;) {
          size += writeSync(fd, block, 0, Math.min(block.length, needed - size), size);
        }
        return true;
      } catch {
        return false;
      }
    },
    close() {
      closeSync(fd);
    },
  };
}
