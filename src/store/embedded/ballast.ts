import { randomFillSync } from 'node:crypto';
import { readValue } from './database.ts';
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
/**
 * 1: held, 0: given up. To ask for the value itself would copy all of it (lmdb-js 3.5.6). Its change also keeps the second transaction
 * from being an empty one.
 */
const STATE = Buffer.from('state');
const [HELD, GIVEN_UP] = [Buffer.from([1]), Buffer.from([0])] as const;

/** One large value, of random bytes, lest a file system that compresses keeps less than it says. */
export function createBallast(table: Table): Ballast {
  return {
    isHeld: () => readValue(table, STATE)?.equals(HELD) ?? false,
    make: (bytes) => () => {
      table.putSync(KEY, randomFillSync(Buffer.alloc(bytes)));
      table.putSync(STATE, HELD);
    },
    giveUp: [
      () => {
        table.removeSync(KEY);
      },
      () => {
        table.putSync(STATE, GIVEN_UP);
      },
    ],
  };
}
