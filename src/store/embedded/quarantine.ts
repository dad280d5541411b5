import type { Micros, StoredEvent } from '../event.ts';
import { PAGE_PAYLOAD_BYTES, type PageRequest } from '../event-store.ts';
import type { Quarantine, QuarantinePage } from '../lease-store.ts';
import { CorruptEventError, InvalidPositionError } from '../store-errors.ts';
import { isWanted } from '../is-wanted.ts';
import type { Counts } from './counts.ts';
import { appendEntry, readValue, type Lmdb } from './database.ts';
import type { Disk } from './disk.ts';
import { eventAt } from './event-at.ts';
import { idKey } from './event-id.ts';
import { eventEntry } from './event-record.ts';
import { idEntry } from './id-index.ts';
import { inboxEntry, inboxKey, inboxSequence } from './inbox-index.ts';
import type { LeaseTable } from './lease-table.ts';
import { decodeQuarantine, quarantineEntry, quarantineOf } from './quarantine-record.ts';
import { isIntact } from './seal.ts';
import { sequenceKey, type Sequence } from './sequence.ts';
import type { Sequences } from './sequences.ts';

interface Parts {
  readonly lmdb: Lmdb;
  readonly counts: Counts;
  readonly leases: LeaseTable;
  readonly disk: Disk | undefined;
  readonly sequences: Sequences;
  readonly now: () => Micros;
}

/**
 * Moves events into quarantine and out of it. A sequence is also the time from which an event is kept, so a move gives it a new
 * one, and puts its record again. To be called within a transaction, and before its first put: both throw a
 * `StoreUnavailableError` when the disk has no room for the record.
 */
export function createQuarantine({ lmdb, counts, leases, disk, sequences, now }: Parts) {
  const { events, ids, inbox, quarantine } = lmdb;

  /** @param to the new place. */
  function move(event: StoredEvent, from: Sequence, to: Sequence): void {
    const id = idKey(event.id);
    if (id === undefined) throw new CorruptEventError(`The record at ${String(from)} has no id`);
    const record = eventEntry(event, id, to);
    disk?.admit(record.value.length);
    events.removeSync(sequenceKey(from));
    appendEntry(events, record);
    const index = idEntry(id, to, event.tenant);
    ids.putSync(index.key, index.value);
  }

  return {
    /** Takes a pending event out of the inbox. */
    enter(event: StoredEvent, from: Sequence, attempts: number, lastReason: string | null): void {
      const since = now();
      const to = sequences.next(since);
      move(event, from, to);
      const { key, value } = quarantineEntry(event, to, { since, attempts, lastReason });
      quarantine.putSync(key, value);
      leases.remove(from);
      if (inbox.removeSync(inboxKey(event.tenant, from))) counts.removed(event.tenant, from);
    },

    /**
     * Puts a quarantined event back into the inbox.
     *
     * @param to a place that was given out before events that are appended later got theirs: the inbox is handed out in this order.
     */
    leave(event: StoredEvent, from: Sequence, to: Sequence): void {
      move(event, from, to);
      quarantine.removeSync(inboxKey(event.tenant, from));
      const pending = inboxEntry(event, to);
      inbox.putSync(pending.key, pending.value);
      counts.added(event.tenant, to);
    },
  };
}

/** Why the event at that place is in quarantine; undefined: it is not. @throws a `CorruptEventError` when the entry is damaged. */
export function quarantineAt(
  { quarantine }: Pick<Lmdb, 'quarantine'>,
  tenant: string,
  sequence: Sequence,
): Quarantine | undefined {
  const key = inboxKey(tenant, sequence);
  const value = readValue(quarantine, key);
  if (value === undefined) return undefined;
  if (!isIntact(key, value)) {
    throw new CorruptEventError(`The quarantine of the event at ${String(sequence)} is damaged`);
  }
  return quarantineOf(decodeQuarantine(value));
}

/** Entries that one call reads at most. */
const SCAN_BUDGET = 5_000;

interface Source {
  readonly lmdb: Lmdb;
  readonly expiredTo: Micros;
  readonly onDamage: (error: Error) => void;
}

/** One page of the quarantine in the order of its sequences. A position is the last sequence that was read. */
export function listQuarantined(source: Source, tenant: string, request: PageRequest): QuarantinePage {
  const { limit, after } = request;
  const range = {
    start: inboxKey(tenant, Math.max(startOf(after), source.expiredTo, 0) + 1),
    end: inboxKey(tenant, Number.MAX_SAFE_INTEGER),
  };
  const found: StoredEvent[] = [];
  let [bytes, scanned, position] = [0, 0, 0];
  for (const { key, value } of source.lmdb.quarantine.getRange(range)) {
    if (found.length === limit || bytes >= PAGE_PAYLOAD_BYTES || scanned++ === SCAN_BUDGET) {
      return { events: found, next: String(position) };
    }
    const sequence = inboxSequence(key, tenant);
    if (sequence === undefined) continue;
    position = sequence;
    if (!isIntact(key, value)) continue;
    const held = decodeQuarantine(value);
    const record = isWanted(held, request) ? eventAt(source, 'quarantine', tenant, sequence) : undefined;
    if (record === undefined) continue;
    found.push({ ...record.event, quarantine: quarantineOf(held) });
    bytes += record.bytes;
  }
  return { events: found, next: null };
}

function startOf(position: string | null): Sequence {
  const start = /^\d{1,16}$/.test(position ?? '0') ? Number(position ?? '0') : NaN;
  if (Number.isSafeInteger(start + 1)) return start;
  throw new InvalidPositionError(`${String(position)} is no position of this store`);
}
