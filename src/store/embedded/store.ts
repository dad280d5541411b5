import type { Micros } from '../../events/event.ts';
import { StoreUnavailableError } from '../errors.ts';
import type { EventStore, KeyStore } from '../store.ts';
import { openLmdb } from './database.ts';
import type { Lmdb } from './database.ts';
import { createClaims } from './claims.ts';
import { createCounts } from './counts.ts';
import { createEvents } from './events.ts';
import type { NewestRecord } from './events.ts';
import { newEventId } from './event-id.ts';
import { syncFolder, takeFolder } from './folder.ts';
import { listPending } from './inbox.ts';
import { createKeys } from './keys.ts';
import { isIntact, sequenceOf } from './record.ts';
import type { Sequence } from './record.ts';
import { createSweep } from './sweep.ts';
import { createWriter } from './writer.ts';
import type { WriterLimits } from './writer.ts';

export interface EmbeddedStore extends EventStore {
  /** Opened and closed with the events. */
  readonly keys: KeyStore;
  /** Time of the newest event at open, 0 without one: a clock that starts after it keeps the order over a restart. */
  readonly newestTime: Micros;
  /** Deletes the events that have expired; resolves with their number. Runs by itself every `sweepSeconds`. */
  sweep(): Promise<number>;
}

export interface EmbeddedOptions {
  /** Folder; made if missing. */
  readonly path: string;
  readonly now: () => Micros;
  /** Time from `createdAt` to expiry. */
  readonly eventTtl: Micros;
  /** Told of damaged records, with `{ err }`. */
  readonly log: { error(detail: object, message: string): void };
  /**
   * A write has failed, the disk being full or broken: no write is taken any more. What was acknowledged is on disk;
   * the process should end and start anew. Called once.
   */
  readonly onFatal: (error: Error) => void;
  /** False: open beside a server, without a lock and without sweeping. */
  readonly exclusive?: boolean;
  /** False: a folder without a store is an error instead of a new store. */
  readonly create?: boolean;
  /** 0: only on call. */
  readonly sweepSeconds?: number;
  readonly limits?: WriterLimits;
}

/** A transaction that takes longer leaves its callers without an answer in time: the disk stalls. */
const STALL_MS = 2_000;

/**
 * The event store on LMDB, for one server process a folder.
 *
 * Rejects with an Error that names the folder when it cannot be used or another server has it.
 */
// Async so that what cannot be opened is a rejection, as with any other store.
// eslint-disable-next-line @typescript-eslint/require-await
export async function openEmbeddedStore(options: EmbeddedOptions): Promise<EmbeddedStore> {
  const { path, now, eventTtl, log, exclusive = true, create = true, sweepSeconds = 10 } = options;
  const folder = takeFolder(path, exclusive, create);
  const lmdb = openFile(folder);
  syncFolder(path);

  const onDamage = (err: Error) => {
    log.error({ err }, 'a damaged record');
  };
  const expiredTo = () => now() - eventTtl;
  const writer = createWriter({
    transact: (run) => lmdb.transact(run),
    beforeCommit: (writes) => {
      sweep.step(writes);
    },
    onFatal: options.onFatal,
    ...(options.limits && { limits: options.limits }),
  });
  if (exclusive) emptyCounts(lmdb);
  const newest = newestRecord(lmdb);
  const claims = createClaims(lmdb, now);
  const counts = createCounts({ lmdb, writer, expiredTo });
  const sweep = createSweep({
    ...{ lmdb, writer, counts, onDamage },
    deletableTo: expiredTo,
    claimsDeletableTo: now,
  });
  if (exclusive && sweepSeconds > 0) sweep.every(sweepSeconds * 1000);

  let closed: Promise<void> | undefined;
  /** For reads: a closed LMDB must not be asked. */
  const opened =
    <A extends unknown[], T>(read: (...args: A) => T | Promise<T>) =>
    async (...args: A): Promise<T> => {
      if (closed !== undefined) throw new StoreUnavailableError('The store is closed');
      return read(...args);
    };

  const events = createEvents({ lmdb, writer, counts, claims, expiredTo, newest });
  const keys = createKeys({ lmdb, writer, onDamage });
  return {
    keys: { ...keys, get: opened(keys.get), getMany: opened(keys.getMany), list: opened(keys.list) },
    newestTime: newest.sequence,
    newId: newEventId,
    append: events.append,
    get: opened(events.get),
    acknowledge: events.acknowledge,
    remove: events.remove,
    listPending: opened((tenant, page) =>
      listPending({ lmdb, expiredTo: expiredTo(), onDamage }, tenant, page),
    ),
    countPending: opened(async (tenant) => ({ count: await counts.pending(tenant), exact: true })),
    ping: opened(() => {
      const refusal = writer.refusal();
      if (refusal !== undefined) throw refusal;
      if (writer.busyFor() > STALL_MS) throw new StoreUnavailableError('The disk does not answer');
    }),
    sweep: () => sweep.run(),
    close() {
      closed ??= (async () => {
        await sweep.stop();
        await writer.close();
        await lmdb.close();
        folder.release();
      })();
      return closed;
    },
  };
}

function openFile(folder: { file: string; release(): void }): Lmdb {
  try {
    return openLmdb(folder.file);
  } catch (error) {
    folder.release();
    throw error;
  }
}

/** Of versions that kept counts on disk: they are not kept up any more. */
function emptyCounts(lmdb: Lmdb): void {
  try {
    lmdb.clear('counts');
  } catch {
    // A full disk: nothing reads them, and the next start tries again.
  }
}

function newestRecord({ events }: Lmdb): NewestRecord {
  const damagedAfter = new Set<Sequence>();
  for (const { key, value } of events.getRange({ reverse: true })) {
    const sequence = sequenceOf(key);
    if (sequence === undefined) continue;
    if (isIntact(key, value)) return { sequence, damagedAfter };
    damagedAfter.add(sequence);
  }
  return { sequence: 0, damagedAfter };
}
