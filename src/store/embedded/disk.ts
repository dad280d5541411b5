import { StoreUnavailableError } from '../store-errors.ts';
import type { Ballast } from './ballast.ts';
import type { Statfs } from './file-system.ts';

/**
 * Keeps a reserve on the disk, so that a full one does not end consumption too: LMDB copies the pages that it changes and needs
 * room even to delete. Below the reserve no event is taken; acknowledgements, deletions, keys and the sweep go on. See
 * docs/decisions/009-disk-and-file.md.
 */
export interface Disk {
  /** Why no event is taken now. */
  refusal(): StoreUnavailableError | undefined;
  /**
   * Counts an event of so many bytes, within a transaction and before its first put.
   *
   * @throws StoreUnavailableError when there is no room for it.
   */
  admit(bytes: number): void;
  /** Whether there is so little that a transaction should take one write: the pages that it frees serve the one after next. */
  isTight(): boolean;
  /**
   * Looks at the disk: 5 µs, and once a second 0.2 ms. To be called before each transaction.
   *
   * @returns whether the ballast must be given up first.
   */
  look(): boolean;
  /** To be called every now and then: looks, gives the ballast up when room is short and makes it when there is enough. */
  tend(): void;
}

interface Parts {
  /** The data folder. */
  readonly path: string;
  readonly statfs: Statfs;
  /** Pages in the store's file that are in no use, in bytes. */
  readonly reusable: () => number;
  readonly ballast: Ballast;
  /** Runs the function in a transaction, some time. */
  readonly write: (run: () => void) => void;
  /** Whether the store's file can grow by so many bytes, by really trying: costs as much as writing them. */
  readonly canGrow: (bytes: number) => boolean;
  /** The last run ended because it could not write: statfs may be happy all the same (a quota, a limit of file sizes). */
  readonly doubtful: boolean;
  readonly log: Record<'info' | 'warn', (detail: object, message: string) => void>;
  readonly monotonic: () => number;
}

const MiB = 1024 * 1024;
const LOOK_MS = 1_000;
/** Between two tries to write, which are not cheap. */
const TRY_MS = 10_000;
const TRY_BYTES = 16 * MiB;
/** A transaction may copy some MiB, and the ones after it as much again, before the pages of the first are free. */
const TIGHT_BYTES = 32 * MiB;
/** So much more than the reserve must there be before events are taken again, lest it goes back and forth. */
const HYSTERESIS = 1.25;

const ALMOST_FULL = 'the disk is almost full: no events are taken; acknowledging and deleting go on';

export function createDisk(parts: Parts): Disk {
  const { path, reusable, ballast, write, canGrow, log, monotonic } = parts;
  const measure = createGauge(path, parts.statfs);
  let refusal: StoreUnavailableError | undefined;
  let grows = !parts.doubtful;
  let free = 0;
  let allowance = 0;
  let spent = 0;
  let unused = 0;
  let lookedAt = -Infinity;
  let triedAt = -Infinity;
  look();

  return {
    refusal: () => refusal,

    admit(bytes) {
      spent += bytes;
      if (spent > allowance) refuse();
      if (refusal !== undefined) throw refusal;
    },

    isTight: () => refusal !== undefined && free < TIGHT_BYTES,

    look,

    tend() {
      // Any transaction gives the ballast up before it begins.
      if (look()) write(() => undefined);
      if (refusal !== undefined || ballast.isHeld() || !mayTry()) return;
      const bytes = measure().ballastSizes.find((size) => free > 4 * size && canGrow(2 * size));
      if (bytes !== undefined) write(ballast.make(bytes));
    },
  };

  function look(): boolean {
    const { reserve, ballastBytes, available } = measure();
    if (!grows && mayTry()) grows = canGrow(Math.min(TRY_BYTES, available / 2));
    free = grows ? available : 0;
    if (monotonic() - lookedAt >= LOOK_MS) {
      lookedAt = monotonic();
      unused = reusable();
    }
    spent = 0;
    // What is still to be made again is spoken for.
    const wanted = refusal === undefined || ballast.isHeld() ? 0 : ballastBytes;
    const margin = refusal === undefined ? 1 : HYSTERESIS;
    allowance = Math.min(free - (reserve / 2) * margin, free + unused - wanted - reserve * margin);
    if (allowance <= 0) refuse();
    else if (refusal !== undefined) {
      refusal = undefined;
      log.info(detail(), 'the disk has room again: events are taken');
    }
    return refusal !== undefined && ballast.isHeld();
  }

  function refuse(): void {
    if (refusal !== undefined) return;
    refusal = new StoreUnavailableError(ALMOST_FULL);
    log.warn(detail(), ALMOST_FULL);
  }

  function detail() {
    return { data_dir: path, free_bytes: free, reusable_bytes: unused };
  }

  function mayTry(): boolean {
    if (monotonic() - triedAt < TRY_MS) return false;
    triedAt = monotonic();
    return true;
  }
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
  const ballastBytes = clamp(total / 64, 2 * MiB, 4 * MiB);
  return {
    available: bsize * bavail,
    reserve: Math.min(total / 4, clamp(total / 20, 8 * MiB, 256 * MiB)),
    /** The one that is wanted, and what is better than none. */
    ballastSizes: [ballastBytes, ballastBytes / 4, ballastBytes / 16],
    ballastBytes,
  };
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
