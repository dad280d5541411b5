import type { Micros, StoredEvent } from '../event.ts';
import { CorruptEventError } from '../store-errors.ts';
import type { Counts } from './counts.ts';
import { readValue } from './database.ts';
import { doneAt } from './done.ts';
import type { Lmdb } from './database.ts';
import type { Writer } from './writer.ts';
import { idKey, locate } from './event-id.ts';
import { decodeEvent, recordedId, recordedTenant } from './event-record.ts';
import { decodeIdEntry } from './id-index.ts';
import { inboxKey } from './inbox-index.ts';
import type { LeaseTable } from './lease-table.ts';
import { quarantineAt } from './quarantine.ts';
import { isIntact } from './seal.ts';
import { sequenceKey } from './sequence.ts';
import type { Sequence } from './sequence.ts';
import { SMALL_WRITE_BYTES } from './write-many.ts';

interface Parts {
  readonly lmdb: Lmdb;
  readonly writer: Writer;
  readonly counts: Counts;
  readonly leases: LeaseTable;
  /** Events up to this time have expired. */
  readonly expiredTo: () => Micros;
}

/** Finds, reads and removes events by their ids. */
export function createEvents({ lmdb, writer, counts, leases, expiredTo }: Parts) {
  const { events, ids, inbox, done, quarantine } = lmdb;
  const find = createLookup(lmdb, expiredTo);

  return { get, find, remove, removePending };

  function get(tenant: string, id: string): StoredEvent | undefined {
    const place = find(tenant, id);
    if (place === undefined) return undefined;
    const event = decodeEvent(recordAt(place, id));
    const acknowledgedAt = event.acknowledgedAt ?? doneAt(done, place.sequence)?.at;
    if (acknowledgedAt !== undefined) return { ...event, acknowledgedAt };
    const held = quarantineAt(lmdb, tenant, place.sequence);
    return held === undefined ? event : { ...event, quarantine: held };
  }

  /** Needs only the place of the event, so that a damaged event can be removed. */
  async function remove(tenant: string, id: string): Promise<boolean> {
    return writer.write(tenant, SMALL_WRITE_BYTES, () => {
      const place = find(tenant, id);
      if (place === undefined) return false;
      if (place.indexEntry !== null) ids.removeSync(place.indexEntry);
      if (place.record === REPLACED) return true;
      events.removeSync(place.key);
      done.removeSync(place.key);
      removePending(tenant, place.sequence);
      return true;
    });
  }

  /** Takes an event that has not been acknowledged out of the inbox or the quarantine, within a transaction. */
  function removePending(tenant: string, sequence: Sequence): void {
    const key = inboxKey(tenant, sequence);
    if (inbox.removeSync(key)) counts.removed(tenant, sequence);
    else quarantine.removeSync(key);
    leases.remove(sequence);
  }
}

/** Where an event is. */
export interface Place {
  readonly sequence: Sequence;
  /** Of the record. */
  readonly key: Buffer;
  /** Valid until the next read; or what is wrong with it. */
  readonly record: Buffer | Damage;
  /** Key of the index entry that led here; null: the id itself encodes the place. */
  readonly indexEntry: Buffer | null;
}

type Damage = 'damaged' | 'not where it should be' | typeof REPLACED;

/** The key of the record was damaged, and its place was given to another event. */
const REPLACED = 'lost: another event is in its place';

export function recordAt({ record }: Place, id: string): Buffer {
  if (typeof record === 'string') throw new CorruptEventError(`The record of event ${id} is ${record}`);
  return record;
}

/** The returned function finds an event. Undefined: it is missing, has expired, or is another tenant's. */
function createLookup({ events, ids, inbox }: Lmdb, expiredTo: () => Micros) {
  return function find(tenant: string, id: string): Place | undefined {
    const idBytes = idKey(id);
    if (idBytes === undefined) return undefined;
    const here = placeById(idBytes, tenant);
    // The record at the place that the id encodes may be another, damaged event, so that this one was put elsewhere.
    const place =
      here !== undefined && typeof here.record !== 'string'
        ? here
        : (placeByIndex(idBytes, tenant, id) ?? here);
    return place !== undefined && place.sequence > expiredTo() ? place : undefined;
  };

  /**
   * The place that the id encodes. Anybody can make up an id that encodes any place. Where the record is damaged or missing,
   * something else must show that it is, or was, this tenant's: what is left of the record, or an entry in the inbox.
   */
  function placeById(idBytes: Buffer, tenant: string): Place | undefined {
    const sequence = locate(idBytes, tenant);
    if (sequence === undefined) return undefined;
    const key = sequenceKey(sequence);
    const value = readValue(events, key);
    const sameId = value !== undefined && recordedId(value).equals(idBytes);
    const sameTenant = value !== undefined && recordedTenant(value) === tenant;
    const record = checked(key, value);
    const isHere =
      typeof record === 'string'
        ? sameId || sameTenant || readValue(inbox, inboxKey(tenant, sequence)) !== undefined
        : sameId && sameTenant;
    return isHere ? { sequence, key, record, indexEntry: null } : undefined;
  }

  function placeByIndex(idBytes: Buffer, tenant: string, id: string): Place | undefined {
    const value = readValue(ids, idBytes);
    if (value === undefined) return undefined;
    if (!isIntact(idBytes, value)) throw new CorruptEventError(`The index entry of event ${id} is damaged`);
    const entry = decodeIdEntry(value);
    if (entry.tenant !== tenant) return undefined;
    const key = sequenceKey(entry.sequence);
    const record = checked(key, readValue(events, key));
    const isReplaced =
      typeof record !== 'string' &&
      !(recordedId(record).equals(idBytes) && recordedTenant(record) === tenant);
    return {
      ...{ sequence: entry.sequence, key, indexEntry: idBytes },
      record: isReplaced ? REPLACED : record,
    };
  }

  function checked(key: Buffer, value: Buffer | undefined): Buffer | Damage {
    if (value === undefined) return 'not where it should be';
    return isIntact(key, value) ? value : 'damaged';
  }
}
