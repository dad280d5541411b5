import { eachOfMany } from '../each-of-many.ts';
import type { Micros, StoredEvent } from '../event.ts';
import { CorruptEventError } from '../store-errors.ts';
import type { Acknowledgement, Appended, Claim, EventStore } from '../event-store.ts';
import type { Counts } from './counts.ts';
import type { Disk } from './disk.ts';
import { appendEntry, readValue } from './database.ts';
import type { Lmdb } from './database.ts';
import type { Writer } from './writer.ts';
import type { Claims } from './embedded-claims.ts';
import { idKey, locate } from './event-id.ts';
import { acknowledgedEntry, decodeEvent, eventEntry, recordedId, recordedTenant } from './event-record.ts';
import { decodeIdEntry, idEntry } from './id-index.ts';
import { inboxEntry, inboxKey } from './inbox-index.ts';
import { isIntact } from './seal.ts';
import { sequenceKey } from './sequence.ts';
import type { Sequence } from './sequence.ts';

/** The newest event that a store held when it was opened. */
export interface NewestRecord {
  /** Sequence of the newest intact record; 0 without one. */
  readonly sequence: Sequence;
  /** Places after it that damaged records occupy. Their keys may be damaged as well, and show any time. */
  readonly damagedAfter: ReadonlySet<Sequence>;
}

interface Parts {
  readonly lmdb: Lmdb;
  readonly writer: Writer;
  readonly counts: Counts;
  readonly claims: Claims;
  /** Events up to this time have expired. */
  readonly expiredTo: () => Micros;
  readonly newest: NewestRecord;
  readonly disk: Disk | undefined;
}

/** Writes and reads single events. */
export function createEvents({ lmdb, writer, counts, claims, expiredTo, newest, disk }: Parts) {
  const { events, ids, inbox } = lmdb;
  const find = createLookup(lmdb, expiredTo);
  /** The last sequence that was given out, whether or not its event is on disk yet. Writes are committed in this order. */
  let last = newest.sequence;

  return { append, get, acknowledge, remove, newest: () => last, ...createMany(writer, append, acknowledge) };

  function append(event: StoredEvent, claim?: Claim): Promise<Appended> {
    const id = idKey(event.id);
    if (id === undefined) {
      return Promise.reject(new TypeError(`The id of an event is a UUID in lower case, not ${event.id}`));
    }
    const refusal = disk?.refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    // Writes keep the order of their calls, so the sequence is known, and the record is made, before the transaction.
    do {
      last = Math.max(last + 1, event.createdAt);
    } while (newest.damagedAfter.has(last));
    const sequence = last;
    const record = eventEntry(event, id, sequence);
    const index = locate(id, event.tenant) === sequence ? undefined : idEntry(id, sequence, event.tenant);
    const pending = event.acknowledgedAt === null ? inboxEntry(event, sequence) : undefined;
    return writer.write(event.tenant, record.value.length, () => {
      disk?.admit(record.value.length);
      const held = claim && claims.take(claim, event);
      if (held !== undefined) return held;
      appendEntry(events, record);
      if (index !== undefined) ids.putSync(index.key, index.value);
      if (pending !== undefined) {
        inbox.putSync(pending.key, pending.value);
        counts.added(event.tenant, sequence);
      }
      return STORED;
    });
  }

  function get(tenant: string, id: string): StoredEvent | undefined {
    const place = find(tenant, id);
    return place && decodeEvent(recordAt(place, id));
  }

  async function acknowledge(tenant: string, id: string, at: Micros): Promise<Acknowledgement> {
    return writer.write(tenant, SMALL_WRITE_BYTES, () => {
      const place = find(tenant, id);
      if (place === undefined) return { outcome: 'missing' };
      const record = recordAt(place, id);
      const { acknowledgedAt } = decodeEvent(record);
      if (acknowledgedAt !== null) return { outcome: 'already', acknowledgedAt };
      const entry = acknowledgedEntry(place.key, record, at);
      events.putSync(entry.key, entry.value);
      removePending(tenant, place.sequence);
      return { outcome: 'acknowledged', acknowledgedAt: at };
    });
  }

  /** Needs only the place of the event, so that a damaged event can be removed. */
  async function remove(tenant: string, id: string): Promise<boolean> {
    return writer.write(tenant, SMALL_WRITE_BYTES, () => {
      const place = find(tenant, id);
      if (place === undefined) return false;
      if (place.indexEntry !== null) ids.removeSync(place.indexEntry);
      if (place.record === REPLACED) return true;
      events.removeSync(place.key);
      removePending(tenant, place.sequence);
      return true;
    });
  }

  function removePending(tenant: string, sequence: Sequence): void {
    if (inbox.removeSync(inboxKey(tenant, sequence))) counts.removed(tenant, sequence);
  }
}

function createMany(
  writer: Writer,
  append: EventStore['append'],
  acknowledge: EventStore['acknowledge'],
): Pick<EventStore, 'appendMany' | 'acknowledgeMany'> {
  const all = async <Item, Result>(items: readonly Item[], call: (item: Item) => Promise<Result>) => {
    const refusal = writer.refusal();
    if (refusal !== undefined) throw refusal;
    return eachOfMany(items, call);
  };
  return {
    appendMany: (_, appends) => all(appends, ({ event, claim }) => append(event, claim)),
    acknowledgeMany: (tenant, ids, at) => all(ids, (id) => acknowledge(tenant, id, at)),
  };
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

const STORED: Appended = { outcome: 'stored' };

/** About the bytes of memory that a write without a payload holds while it waits. */
const SMALL_WRITE_BYTES = 256;
