import { StoreUnavailableError } from '../store-errors.ts';
import type { StoreLog } from '../store-log.ts';
import type { Statfs } from './file-system.ts';
import type { Tail } from './tail.ts';

/**
 * Keeps a reserve on the disk and a tail in the file, so that a full disk does not end consumption too: LMDB copies the pages that it
 * changes and needs room even to delete. Below the reserve no event is taken; acknowledgements, deletions, keys and the sweep go
 * on. See docs/decisions/009-disk-and-file.md.
 */
export interface Disk {
  /** Why no event is taken now. */
  refusal(): StoreUnavailableError | undefined;
  /** Looks at the disk: 10 µs, and once a second 0.2 ms. To be called before each transaction. */
  look(): void;
  /** Makes the tail as long as it should be, if it can. To be called within each transaction, before its first put. */
  begin(): void;
  /**
   * Counts an event of so many bytes, within a transaction and before the event's first put.
   *
   * @throws StoreUnavailableError when there is no room for it.
   */
  admit(bytes: number): void;
  /** Whether there is so little that a transaction should take one write: the pages that it frees serve the one after next. */
  isTight(): boolean;
  /** To be called every now and then: looks, and has the tail made where nobody writes. */
  maintain(): void;
}

interface Parts {
  /** The data folder. */
  readonly path: string;
  readonly statfs: Statfs;
  /** Pages in the store's file that are in no use, in bytes. */
  readonly reusable: () => number;
  readonly tail: Pick<Tail, 'bytes' | 'grow'>;
  /** Runs a transaction without a put, some time. */
  readonly touch: () => void;
  readonly log: Pick<StoreLog, 'info' | 'warn'>;
  readonly monotonic: () => number;
}

const MiB = 1024 * 1024;
const LOOK_MS = 1_000;
/** Between two tries to make a file grow that could not. */
const TRY_MS = 10_000;
/** By which the tail grows beyond what is needed, so that not every transaction has to. */
const STEP_BYTES = MiB;
/** A transaction may copy some MiB, and the ones after it as much again, before the pages of the first are free. */
const TIGHT_BYTES = 32 * MiB;
/** So much more than the reserve must there be before events are taken again, lest it goes back and forth. */
const HYSTERESIS = 1.25;

const ALMOST_FULL = 'the disk is almost full: no events are taken; acknowledging and deleting go on';

export function createDisk({ path, statfs, reusable, tail: ofFile, touch, log, monotonic }: Parts): Disk {
  const measure = createGauge(path, statfs);
  const tail = createKeeper(ofFile, monotonic);
  let refusal: StoreUnavailableError | undefined;
  let disk = measure();
  let free = 0;
  let allowance = 0;
  let spent = 0;
  let unused = 0;
  let lookedAt = -Infinity;
  look();

  return {
    refusal: () => refusal,

    look,

    begin() {
      if (hasRoomForTail()) tail.hold(disk.tailBytes, 0);
    },

    admit(bytes) {
      spent += bytes;
      // The room for an event is there before the event is: a disk that is full of a sudden fails no commit.
      if (spent > allowance || !tail.hold(disk.tailBytes, spent)) refuse();
      if (refusal !== undefined) throw refusal;
    },

    isTight: () => refusal !== undefined && free < TIGHT_BYTES,

    maintain() {
      look();
      if (hasRoomForTail() && tail.isDue(disk.tailBytes)) touch();
    },
  };

  function look(): void {
    disk = measure();
    if (monotonic() - lookedAt >= LOOK_MS) {
      lookedAt = monotonic();
      unused = reusable();
    }
    spent = 0;
    free = tail.canGrow() ? disk.available : 0;
    const margin = refusal === undefined ? 1 : HYSTERESIS;
    // What the tail still lacks is spoken for.
    const room = free + Math.min(0, tail.ahead(disk.tailBytes));
    allowance = Math.min(room - (disk.reserve / 2) * margin, room + unused - disk.reserve * margin);
    if (allowance <= 0 || !tail.canGrow()) refuse();
    else if (refusal !== undefined) {
      refusal = undefined;
      log.info(detail(), 'the disk has room again: events are taken');
    }
  }

  function hasRoomForTail(): boolean {
    return disk.available > 2 * disk.tailBytes;
  }

  function refuse(): void {
    if (refusal !== undefined) return;
    refusal = new StoreUnavailableError(ALMOST_FULL);
    log.warn(detail(), ALMOST_FULL);
  }

  function detail() {
    return { data_dir: path, free_bytes: free, reusable_bytes: unused };
  }
}

/** Has the tail as long as it should be: `kept` is what it always has. */
function createKeeper(tail: Parts['tail'], monotonic: () => number) {
  let canGrow = true;
  let triedAt = -Infinity;
  let ahead = 0;
  const mayTry = () => canGrow || monotonic() - triedAt >= TRY_MS;

  return {
    /** False since the file could not: `statfs` may be happy all the same (a quota, a limit of file sizes). */
    canGrow: () => canGrow,

    /** By how much it is longer, as of now. */
    ahead(kept: number): number {
      ahead = tail.bytes() - kept;
      return ahead;
    },

    /** Whether a transaction should make it longer, as nobody has tried for a while. */
    isDue: (kept: number) => (canGrow ? tail.bytes() < kept : mayTry()),

    /** Within a transaction: whether it is longer by so much, made so if need be. */
    hold(kept: number, bytes: number): boolean {
      if (canGrow && bytes <= ahead) return true;
      if (!mayTry()) return false;
      triedAt = monotonic();
      // Beyond what it is, so that a try is one.
      canGrow = tail.grow(kept + Math.max(bytes, ahead) + STEP_BYTES);
      ahead = tail.bytes() - kept;
      return canGrow;
    },
  };
}

function createGauge(path: string, statfs: Statfs): () => ReturnType<typeof plan> {
  let last = plan(statfs(path));
  return () => {
    try {
      last = plan(statfs(path));
    } catch {
      // A folder that was moved away, say. LMDB has its file open: what was known has to do.
    }
    return last;
  };
}

/** The reserve: a twentieth of the file system, within bounds; at most a quarter of a tiny one. */
function plan({ bsize, blocks, bavail }: ReturnType<Statfs>) {
  const total = bsize * blocks;
  return {
    available: bsize * bavail,
    reserve: Math.min(total / 4, clamp(total / 20, 8 * MiB, 256 * MiB)),
    /** What the tail always has: some transactions, and what one copies besides the bytes of its events. */
    tailBytes: Math.floor(Math.min(total / 8, clamp(total / 64, 2 * MiB, 4 * MiB))),
  };
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
