import { statfsSync, statSync } from 'node:fs';
import type { Micros } from '../event.ts';
import type { InboxState, StoreGauges } from '../store-gauges.ts';
import type { Counts } from './counts.ts';
import type { Lmdb, Table } from './database.ts';
import type { Disk } from './disk.ts';
import type { Statfs } from './file-system.ts';
import { inboxEnd, inboxKey, inboxSequence, inboxTenant } from './inbox-index.ts';
import { DEFAULT_LIMITS, type Writer, type WriterLimits } from './writer.ts';

interface Parts {
  /** The data folder. */
  readonly path: string;
  /** The store's file. */
  readonly file: string;
  readonly lmdb: Pick<Lmdb, 'inbox' | 'reusable'>;
  readonly writer: Pick<Writer, 'waiting'>;
  readonly disk: Pick<Disk, 'refusal'> | undefined;
  readonly counts: Pick<Counts, 'pending'>;
  /** Events up to this time have expired. */
  readonly expiredTo: () => Micros;
  /** @throws StoreUnavailableError when the store is closed: a closed LMDB must not be read. */
  readonly requireOpen: () => void;
  readonly limits?: WriterLimits;
  readonly statfs?: Statfs;
}

/** As many as there are counts in memory (`counts.ts`): to go through more would count each of them again. */
const MOST_TENANTS = 10_000;
/** Tenants that are looked at in one turn of the event loop, at 10 µs each. */
const TENANTS_A_TURN = 100;

export function createGauges(parts: Parts): StoreGauges {
  const { path, file, lmdb, writer, disk, requireOpen, limits = DEFAULT_LIMITS, statfs = statfsSync } = parts;
  return {
    commitQueue: () => ({ writes: writer.waiting(), limit: limits.waitingWrites }),

    disk() {
      requireOpen();
      const { bsize, blocks, bavail } = statfs(path);
      return {
        file: statSync(file).size,
        reusable: lmdb.reusable(),
        available: bsize * bavail,
        total: bsize * blocks,
        takesEvents: disk?.refusal() === undefined,
      };
    },

    inboxes: () => readInboxes(parts),
  };
}

/** The tenants come from the inbox itself: one that nobody has served since the start may have the oldest event. */
async function readInboxes({
  lmdb: { inbox },
  counts,
  expiredTo,
  requireOpen,
}: Parts): Promise<InboxState[]> {
  const states: InboxState[] = [];
  let place: Buffer | undefined = FIRST;
  for (let looks = 1; states.length < MOST_TENANTS; looks++) {
    requireOpen();
    const key = firstKey(inbox, place);
    if (key === undefined) break;
    const tenant = inboxTenant(key);
    if (tenant === undefined) {
      // A damaged key belongs to nobody.
      place = Buffer.concat([key, ZERO]);
      continue;
    }
    place = inboxEnd(tenant);
    const oldest = firstKey(inbox, inboxKey(tenant, Math.max(0, expiredTo()) + 1), place);
    const sequence = oldest && inboxSequence(oldest, tenant);
    // A tenant whose events have all expired has no inbox.
    if (sequence !== undefined)
      states.push({ tenant, oldest: sequence, pending: await counts.pending(tenant) });
    if (looks % TENANTS_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return states;
}

const FIRST = Buffer.from([0]);
const ZERO = Buffer.alloc(1);

/** A copy of the first key from `start` on and before `end`. */
function firstKey(table: Table, start: Buffer, end?: Buffer): Buffer | undefined {
  const [key] = table.getKeys({ start, ...(end && { end }), limit: 1 });
  return key && Buffer.from(key);
}
