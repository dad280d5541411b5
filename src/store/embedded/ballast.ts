import { randomFillSync } from 'node:crypto';
import type { Table } from './database.ts';

/**
 * Pages of the store's own file that are kept for a full disk: given up, they are LMDB's to use, and no other process can take
 * them, as it could the room of a file that is deleted.
 */
export interface Ballast {
  readonly isHeld: () => boolean;
  /** A transaction that makes it. */
  readonly make: (bytes: number) => () => void;
  /**
   * Two transactions: LMDB uses pages again in the one after next at the earliest, as a reader may still be at the one before.
   * Small as they are, the pages that the last transactions have freed are enough for them.
   */
  readonly giveUp: readonly [() => void, () => void];
}

const KEY = Buffer.from('ballast');
/** So that the second transaction is not empty. */
const GIVEN_UP = Buffer.from('given up');

/** One large value, of random bytes, lest a file system that compresses keeps less than it says. */
export function createBallast(table: Table): Ballast {
  return {
    isHeld: () => table.doesExist(KEY),
    make: (bytes) => () => {
      table.removeSync(GIVEN_UP);
      table.putSync(KEY, randomFillSync(Buffer.alloc(bytes)));
    },
    giveUp: [
      () => {
        table.removeSync(KEY);
      },
      () => {
        table.putSync(GIVEN_UP, Buffer.alloc(1));
      },
    ],
  };
}
