import { statfsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Micros } from '../event.ts';
import { StoreUnavailableError } from '../store-errors.ts';
import type { EventStore, PageRequest } from '../event-store.ts';
import { MAX_ATTEMPTS, type QuarantinePage } from '../lease-store.ts';
import type { KeyStore } from '../key-store.ts';
import type { StoreGauges } from '../store-gauges.ts';
import type { StoreLog } from '../store-log.ts';
import { UNOBSERVED, type StoreObserver } from '../store-observer.ts';
import type { Lmdb } from './database.ts';
import { createCounts, type Counts } from './counts.ts';
import { createDisk, type Disk } from './disk.ts';
import { createEvents } from './embedded-events.ts';
import { createGauges } from './embedded-gauges.ts';
import { createAcknowledgements } from './acknowledgements.ts';
import { createAppends } from './embedded-appends.ts';
import type { Statfs } from './file-system.ts';
import type { Folder } from './folder.ts';
import { openFolder } from './open-folder.ts';
import { listPending, pendingTag } from './inbox-page.ts';
import { createRetention } from './retention.ts';
import { createSweep } from './sweep.ts';
import { createLeaseTable, runningUntil } from './lease-table.ts';
import { createQuarantine, listQuarantined } from './quarantine.ts';
import { openTail } from './tail.ts';
import { createWatchers, type Hint, type Watcher } from '../watchers.ts';
import { createReturning } from './returning.ts';
import { createWriter, NO_TENANT, type Writer, type WriterLimits, type WriterOptions } from './writer.ts';
import { createClaims, type Claims } from './embedded-claims.ts';
import { createKeys } from './embedded-keys.ts';
import { createLeases } from './embedded-leases.ts';
import { newEventId } from './event-id.ts';
import type { Sequence } from './sequence.ts';
import { createSequences, newestRecord, type NewestRecord } from './sequences.ts';

export interface EmbeddedStore extends EventStore {
  /** The API keys, which are opened and closed with the events. */
  readonly keys: KeyStore;
  /** Time of the newest event at open, 0 without one. A clock that starts after it keeps the order over a restart. */
  readonly newestTime: Micros;
  readonly gauges: StoreGauges;
  /**
   * Writes all that is stored at one moment to a new file, which can be the `store.mdb` of another folder. Rejects with an Error
   * whose message is fit for people; the caller then removes what has been written.
   *
   * @param compact leaves out the pages that nothing uses. The copy is as large as what is stored, and takes longer.
   */
  backUp(file: string, compact: boolean): Promise<void>;
  /** Deletes events that expired a day ago, and claims that ended. Resolves with the number of events. Runs every `sweepSeconds`. */
  sweep(): Promise<number>;
}

export interface EmbeddedOptions {
  /** The data folder; created if it is missing. */
  readonly path: string;
  readonly now: () => Micros;
  /** Milliseconds of a clock that is never set. */
  readonly monotonicMs?: () => number;
  /** Time from `createdAt` to expiry. */
  readonly eventTtl: Micros;
  /** Leases without an acknowledgement after which an event goes into quarantine; 0: no number does that. */
  readonly maxAttempts?: number;
  /** Gets damaged records, as `{ err }`, problems with the disk, and doubts about the time. */
  readonly log: StoreLog;
  /**
   * Called once, when a write has failed because the disk is full or broken. No write is taken any more. What was acknowledged is
   * on disk; the process should end and be started again.
   */
  readonly onFatal: (error: Error) => void;
  /** False: the store is opened beside a server, without a lock and without a sweep. */
  readonly exclusive?: boolean;
  /** False: a folder without a store is an error; otherwise a store is created. */
  readonly create?: boolean;
  /** 0: the sweep runs only when it is called. */
  readonly sweepSeconds?: number;
  readonly limits?: WriterLimits;
  readonly statfs?: Statfs;
  readonly observer?: StoreObserver;
}

/** When a transaction takes longer the disk stalls, and callers get no answer in time. */
const STALL_MS = 2_000;

/** Time until `ping` looks again at a disk that seems to stall. */
const SECOND_LOOK_MS = 250;

/** Interval at which the writer looks at what waits: a late write is answered at most this much later. */
const MAINTENANCE_MS = 250;

/**
 * Opens the event store on LMDB. One server process can use a folder.
 *
 * Rejects with an Error that names the folder when it cannot be used or another server uses it.
 */
// Async so that what cannot be opened is a rejection, as with any other store.
// eslint-disable-next-line @typescript-eslint/require-await
export async function openEmbeddedStore(options: EmbeddedOptions): Promise<EmbeddedStore> {
  const { now, eventTtl, log, exclusive = true, sweepSeconds = 10 } = options;
  const { monotonicMs = () => performance.now(), observer = UNOBSERVED } = options;
  const onDamage = (err: Error) => {
    log.error({ err }, 'a damaged record');
  };
  const { folder, lmdb } = openFolder(options, onDamage);
  const expiredTo = () => now() - eventTtl;
  const pending = createPendingWatch();
  const beforeCommit = (writes: number): void => {
    sweep.step(writes);
  };
  const hooks = { beforeCommit, afterCommit: pending.tell };
  const { writer, disk, tail, stopMaintenance } = openWriter(options, folder, lmdb, hooks);
  if (exclusive) emptyCounts(lmdb);
  const newest = newestRecord(lmdb);
  const newestTime = newest.sequence;
  const retention = createRetention({ lmdb, writer, now, monotonicMs, eventTtl, newestTime, log });
  const claims = createClaims(lmdb);
  const counts = createCounts({ lmdb, writer, expiredTo });
  const sweep = createSweep({ lmdb, writer, counts, onDamage, observer, ...retention });
  if (exclusive && sweepSeconds > 0) sweep.every(sweepSeconds * 1000);

  const { opened, requireOpen, closeOnce } = createGuard();

  const shared = { lmdb, writer, counts, disk, now, expiredTo, onDamage };
  const { sequences, writes, reads, ...watching } = createParts(options, newest, claims, pending, shared);
  // Only the process that appends knows the newest event in memory; a command beside it has to look.
  const newestNow = exclusive ? sequences.newest : () => newestRecord(lmdb).sequence;
  const keys = createKeys({ lmdb, writer, onDamage });
  return {
    keys: { ...keys, get: opened(keys.get), getMany: opened(keys.getMany), list: opened(keys.list) },
    newestTime,
    gauges: createGauges({ ...options, ...shared, file: folder.file, requireOpen }),
    newId: newEventId,
    watch: watching.watch,
    ...writes,
    get: opened(reads.get),
    listPending: opened((tenant, page) => listPending(reads.inbox(newestNow()), tenant, page)),
    pendingTag: opened((tenant, page) => pendingTag(reads.inbox(newestNow()), tenant, page)),
    listQuarantined: opened(reads.listQuarantined),
    countPending: opened(async (tenant) => ({ count: await counts.pending(tenant), exact: true })),
    ping: opened(async () => {
      // After a long turn of the event loop it is not the disk that is late: its answer has not been handled yet.
      if (writer.busyFor() > STALL_MS) await sleep(SECOND_LOOK_MS);
      const refusal = writer.refusal();
      if (refusal !== undefined) throw refusal;
      if (writer.busyFor() > STALL_MS) throw new StoreUnavailableError('The disk does not answer');
    }),
    backUp: lmdb.backUp,
    sweep: () => sweep.run(),
    close: closeOnce(async () => {
      watching.stop();
      await sweep.stop();
      await writer.close();
      stopMaintenance();
      if (writer.busyFor() > 0) {
        throw new StoreUnavailableError(
          'A transaction has not ended; it holds the data folder until the process is killed',
        );
      }
      await lmdb.close();
      // Not before LMDB is closed: a later transaction would write to whatever file has the descriptor by then.
      tail?.close();
      folder.release();
    }),
  };
}

interface Shared {
  readonly lmdb: Lmdb;
  readonly writer: Writer;
  readonly counts: Counts;
  readonly disk: Disk | undefined;
  readonly now: () => Micros;
  readonly expiredTo: () => Micros;
  readonly onDamage: (error: Error) => void;
}

/** What reads and writes events. */
function createParts(
  { eventTtl, maxAttempts = MAX_ATTEMPTS, exclusive = true }: EmbeddedOptions,
  newest: NewestRecord,
  claims: Claims,
  { watchers, touch }: ReturnType<typeof createPendingWatch>,
  basis: Shared,
) {
  const { lmdb, now, expiredTo, onDamage } = basis;
  const leases = createLeaseTable(lmdb, onDamage, (tenant, until) => {
    returning.at(tenant, until);
  });
  const returning = createReturning(watchers, leases.places, now);
  const sequences = createSequences(lmdb, newest);
  const shared = { ...basis, leases, sequences, touch };
  const appends = createAppends({ ...shared, claims });
  const events = createEvents(shared);
  const acknowledgements = createAcknowledgements({ ...shared, events });
  const leasing = createLeases({
    ...{ ...shared, events, acknowledgements, eventTtl, maxAttempts },
    quarantine: createQuarantine(shared),
    calls: exclusive ? leases.recall(now()) : new Map(),
  });
  return {
    sequences,
    watch: (tenant: string, changed: Watcher) => {
      const unwatch = watchers.watch(tenant, changed);
      returning.begin(tenant);
      return unwatch;
    },
    stop: returning.stop,
    writes: { ...appends, ...acknowledgements.writes, ...leasing, remove: events.remove },
    reads: {
      get: events.get,
      inbox: (newest: Sequence) => {
        const time = now();
        const leasedUntil = (sequence: Sequence) => runningUntil(leases, sequence, time);
        return { lmdb, expiredTo: expiredTo(), newest, leasedUntil, onDamage };
      },
      listQuarantined: (tenant: string, page: PageRequest): QuarantinePage =>
        listQuarantined({ lmdb, expiredTo: expiredTo(), onDamage }, tenant, page),
    },
  };
}

/** Notes which tenants get events in a transaction, and tells those who watch them when it is on disk. */
function createPendingWatch() {
  const watchers = createWatchers();
  // Of everybody: who begins to watch in the middle of a transaction has looked before its events were there.
  const touched = new Map<string, Hint[] | 'something'>();
  return {
    watchers,
    touch: (tenant: string, event?: Hint): void => {
      const hints = touched.get(tenant);
      if (hints === 'something') return;
      if (event === undefined || !watchers.isWatched(tenant) || hints?.length === MOST_HINTS) {
        touched.set(tenant, 'something');
      } else if (hints === undefined) {
        touched.set(tenant, [event]);
      } else if (hints.every((hint) => hint?.source !== event.source || hint.type !== event.type)) {
        hints.push(event);
      }
    },
    tell: (): void => {
      for (const [tenant, hints] of touched) {
        if (hints === 'something') watchers.tell(tenant);
        else for (const hint of hints) watchers.tell(tenant, hint);
      }
      touched.clear();
    },
  };
}

/** Kinds of events of one tenant in one transaction, of which those who watch are told one by one. */
const MOST_HINTS = 16;

/** Guards reads: a closed LMDB must not be read. */
function createGuard() {
  let closed: Promise<void> | undefined;
  const requireOpen = (): void => {
    if (closed !== undefined) throw new StoreUnavailableError('The store is closed');
  };
  return {
    requireOpen,
    opened:
      <A extends unknown[], T>(read: (...args: A) => T | Promise<T>) =>
      async (...args: A): Promise<T> => {
        requireOpen();
        return read(...args);
      },
    /** The first call closes, further ones wait for the same. */
    closeOnce: (close: () => Promise<void>) => (): Promise<void> => (closed ??= close()),
  };
}

/** The writer, and the disk that it writes to. Only a server looks after the disk, not a command beside it. */
function openWriter(
  {
    path,
    log,
    limits,
    onFatal,
    exclusive = true,
    statfs = statfsSync,
    observer = UNOBSERVED,
  }: EmbeddedOptions,
  folder: Folder,
  lmdb: Lmdb,
  hooks: Pick<WriterOptions, 'beforeCommit' | 'afterCommit'>,
) {
  const tail = exclusive ? openTail(folder.file, lmdb.end) : undefined;
  const writer = createWriter({
    transact: async (run) => {
      disk?.look();
      return lmdb.transact(() => {
        disk?.begin();
        run();
      });
    },
    ...hooks,
    onFatal,
    observer,
    oneByOne: () => disk?.isTight() === true,
    ...(limits && { limits }),
  });
  const disk =
    tail &&
    createDisk({
      ...{ path, statfs, tail, log, reusable: lmdb.reusable, monotonic: () => performance.now() },
      touch: () => {
        // The store is busy, closed or failed: the next look at the disk finds that this is still to be done.
        writer.write(NO_TENANT, 0, () => undefined).catch(() => undefined);
      },
    });
  const maintenance = setInterval(() => {
    writer.check();
    if (writer.refusal() === undefined) disk?.maintain();
  }, MAINTENANCE_MS).unref();
  return {
    writer,
    disk,
    tail,
    stopMaintenance: () => {
      clearInterval(maintenance);
    },
  };
}

/** Empties the table of versions that kept counts on disk, because it is no longer updated. */
function emptyCounts(lmdb: Lmdb): void {
  try {
    lmdb.clear('counts');
  } catch {
    // The disk is full. Nothing reads the table, and the next start tries again.
  }
}
