import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';

/**
 * The end of the store's file, behind LMDB's last page. It is written in advance, so that the disk has allocated this room already.
 * LMDB can grow into it when not a byte is free, even if readers keep it from reusing pages, and no other process can take it.
 */
export interface Tail {
  /** Its length; 0 or less when LMDB has reached the end of the file. */
  bytes(): number;
  /**
   * Extends the tail to at least this length. To be called within a transaction and before its first put, because LMDB, in this
   * process or another, must not write at the end of the file meanwhile.
   *
   * @returns false when the file cannot grow so much; it may have grown by less.
   */
  grow(bytes: number): boolean;
  close(): void;
}

/** Larger writes would cost more later: each write to a cached page would be charged, to a container for example, as the whole block. */
const BLOCK_BYTES = 16 * 1024;

/** @param end where LMDB's last page ends in the file. */
export function openTail(file: string, end: () => number): Tail {
  const fd = openSync(file, 'r+');
  // Random bytes, because a file system that compresses would otherwise allocate less.
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
