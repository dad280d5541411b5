import { StoreUnavailableError } from '../store-errors.ts';
import type { StoreLog } from '../store-log.ts';
import type { Statfs } from './file-system.ts';
import type { Tail } from './tail.ts';

/**
 * Keeps a reserve on the disk and a tail in the file, so that a full disk stops only ingest: LMDB copies the pages that it
 * changes, and needs room even to delete. Below the reserve no event is taken, while acknowledgements, deletions, keys and the
 * sweep continue. See docs/decisions/009-disk-and-file.md.
 */
export interface Disk {
  /** The reason why no event is taken now; undefined: events are taken. */
  refusal(): StoreUnavailableError | undefined;
  /** Looks at the disk, in 10 µs, and in 0.2 ms once a second. To be called before each transaction. */
  look(): void;
  /** Makes the tail as long as it should be, if it can. To be called within each transaction, before its first put. */
  begin(): void;
  /**
   * Reserves room for an event of this many bytes. To be called within a transaction and before the event's first put.
   *
   * @throws StoreUnavailableError when there is no room for it.
   */
  admit(bytes: number): void;
  /** Whether room is so scarce that a transaction should take only one write: its freed pages serve the one after next. */
  isTight(): boolean;
  /** To be called at intervals: looks at the disk, and has the tail extended when nobody writes. */
  maintain(): void;
}

interface Parts {
  /** The data folder. */
  readonly path: string;
  readonly statfs: Statfs;
  /** Bytes in pages of the store's file that are not in use. */
  readonly reusable: () => number;
  readonly tail: Pick<Tail, 'bytes' | 'grow'>;
  /** Runs a transaction without a put, soon. */
  readonly touch: () => void;
  readonly log: Pick<StoreLog, 'info' | 'warn'>;
  readonly monotonic: () => number;
}

const MiB = 1024 * 1024;
const LOOK_MS = 1_000;
/** Time between two tries to extend a file that could not grow. */
const TRY_MS = 10_000;
/** The tail grows by this much more than is needed, so that not every transaction has to extend it. */
const STEP_BYTES = MiB;
/** A transaction may copy some MiB, and the next ones as much again, before the pages of the first are free. */
const TIGHT_BYTES = 32 * MiB;
/** Events are taken again only with this many times the reserve, so that the state does not flap. */
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
      // The room is allocated before the event is put, so that a disk that fills up suddenly fails no commit.
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
    // What the tail still lacks is not available for events.
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

/** Keeps the tail as long as it should be. `kept` is the length that it always has. */
function createKeeper(tail: Parts['tail'], monotonic: () => number) {
  let canGrow = true;
  let triedAt = -Infinity;
  let ahead = 0;
  const mayTry = () => canGrow || monotonic() - triedAt >= TRY_MS;

  return {
    /** False once the file could not grow. `statfs` may still report room (a quota, a limit of file sizes). */
    canGrow: () => canGrow,

    /** How much longer than `kept` the tail is now. */
    ahead(kept: number): number {
      ahead = tail.bytes() - kept;
      return ahead;
    },

    /** Whether a transaction should extend the tail now. */
    isDue: (kept: number) => (canGrow ? tail.bytes() < kept : mayTry()),

    /** Within a transaction: extends the tail to `kept` and this many bytes if it is shorter. False when it cannot. */
    hold(kept: number, bytes: number): boolean {
      if (canGrow && bytes <= ahead) return true;
      if (!mayTry()) return false;
      triedAt = monotonic();
      // Longer than it is now, so that a try really extends the file.
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
      // For example, the folder was moved away. LMDB still has its file open, so the last values are used.
    }
    return last;
  };
}

/** The reserve is a twentieth of the file system, within bounds, and at most a quarter of a tiny one. */
function plan({ bsize, blocks, bavail }: ReturnType<Statfs>) {
  const total = bsize * blocks;
  return {
    available: bsize * bavail,
    reserve: Math.min(total / 4, clamp(total / 20, 8 * MiB, 256 * MiB)),
    /** The length that the tail always has: room for some transactions, and for what one copies besides its events. */
    tailBytes: Math.floor(Math.min(total / 8, clamp(total / 64, 2 * MiB, 4 * MiB))),
  };
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
