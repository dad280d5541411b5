import type { Micros, StoredEvent } from '../event.ts';
import { CorruptEventError } from '../store-errors.ts';
import { eachOfMany } from '../each-of-many.ts';
import type { Acknowledgement, Failed } from '../event-store.ts';
import type { Counts } from './counts.ts';
import { readValue } from './database.ts';
import { doneAt, doneEntry } from './done.ts';
import type { Lmdb } from './database.ts';
import type { Writer } from './writer.ts';
import { idKey, locate } from './event-id.ts';
import { decodeEvent, recordedAcknowledgement, recordedId, recordedTenant } from './event-record.ts';
import { decodeIdEntry } from './id-index.ts';
import { inboxKey } from './inbox-index.ts';
import { isIntact } from './seal.ts';
import { sequenceKey } from './sequence.ts';
import type { Sequence } from './sequence.ts';
import { oneOfMany, partsOf, writeMany } from './write-many.ts';

interface Parts {
  readonly lmdb: Lmdb;
  readonly writer: Writer;
  readonly counts: Counts;
  /** Events up to this time have expired. */
  readonly expiredTo: () => Micros;
}

/** Reads, acknowledges and removes events by their ids. */
export function createEvents({ lmdb, writer, counts, expiredTo }: Parts) {
  const { events, ids, inbox, done } = lmdb;
  const find = createLookup(lmdb, expiredTo);

  return { get, writes: { acknowledge, acknowledgeMany, remove } };

  function get(tenant: string, id: string): StoredEvent | undefined {
    const place = find(tenant, id);
    if (place === undefined) return undefined;
    const event = decodeEvent(recordAt(place, id));
    const acknowledgedAt = event.acknowledgedAt ?? doneAt(done, place.sequence);
    return acknowledgedAt === null ? event : { ...event, acknowledgedAt };
  }

  async function acknowledge(tenant: string, id: string, at: Micros): Promise<Acknowledgement> {
    return writer.write(tenant, SMALL_WRITE_BYTES, () => acknowledgeNow(tenant, id, at));
  }

  function acknowledgeNow(tenant: string, id: string, at: Micros): Acknowledgement {
    const place = find(tenant, id);
    if (place === undefined) return { outcome: 'missing' };
    const acknowledgedAt = recordedAcknowledgement(recordAt(place, id)) ?? doneAt(done, place.sequence);
    if (acknowledgedAt !== null) return { outcome: 'already', acknowledgedAt };
    const entry = doneEntry(place.sequence, at);
    done.putSync(entry.key, entry.value);
    removePending(tenant, place.sequence);
    return { outcome: 'acknowledged', acknowledgedAt: at };
  }

  async function acknowledgeMany(
    tenant: string,
    ids: readonly string[],
    at: Micros,
  ): Promise<readonly (Acknowledgement | Failed)[]> {
    const refusal = writer.refusal();
    if (refusal !== undefined) throw refusal;
    const parts = partsOf(ids, ACKNOWLEDGED_TOGETHER);
    const results = await eachOfMany(parts, (part) =>
      writeMany(writer, tenant, SMALL_WRITE_BYTES * part.length, part.length, () =>
        part.map((id) => oneOfMany(() => acknowledgeNow(tenant, id, at))),
      ),
    );
    return results.flatMap((result, index) =>
      'outcome' in result ? (parts[index] ?? []).map(() => result) : result,
    );
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

  function removePending(tenant: string, sequence: Sequence): void {
    if (inbox.removeSync(inboxKey(tenant, sequence))) counts.removed(tenant, sequence);
  }
}

/** Where an event is. */
interface Place {
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

function recordAt({ record }: Place, id: string): Buffer {
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

/** The checksum of a record of up to 400 KB is made for each: more of them would hold a transaction, and with it the event loop. */
const ACKNOWLEDGED_TOGETHER = 20;

/** About the bytes of memory that a write without a payload holds while it waits. */
const SMALL_WRITE_BYTES = 256;
