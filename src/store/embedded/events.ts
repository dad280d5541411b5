import type { Micros, StoredEvent } from '../../events/event.ts';
import { CorruptEventError } from '../errors.ts';
import type { Acknowledgement, Appended, Claim } from '../store.ts';
import type { Claims } from './claims.ts';
import type { Counts } from './counts.ts';
import { appendEntry, readValue } from './database.ts';
import type { Lmdb } from './database.ts';
import { locate } from './event-id.ts';
import {
  acknowledgedEntry,
  decodeEvent,
  eventEntry,
  idEntry,
  idEntryBody,
  idKey,
  inboxEntry,
  inboxKey,
  isIntact,
  recordedId,
  recordedTenant,
  sequenceKey,
} from './record.ts';
import type { Sequence } from './record.ts';
import type { Writer } from './writer.ts';

interface Parts {
  readonly lmdb: Lmdb;
  readonly writer: Writer;
  readonly counts: Counts;
  readonly claims: Claims;
  /** Events up to this time have expired. */
  readonly expiredTo: () => Micros;
  /** The newest sequence stored. */
  readonly after: Sequence;
}

/** Writing and reading single events. */
export function createEvents({ lmdb, writer, counts, claims, expiredTo, after }: Parts) {
  const { events, ids, inbox } = lmdb;
  const { find, readRecord } = createLookup(lmdb, expiredTo);
  let last = after;

  return { append, get, acknowledge, remove };

  function append(event: StoredEvent, claim?: Claim): Promise<Appended> {
    const id = idKey(event.id);
    if (id === undefined) {
      return Promise.reject(new TypeError(`The id of an event is a UUID in lower case, not ${event.id}`));
    }
    // Writes keep the order of their calls, so the sequence is known, and the record made, before the transaction.
    last = Math.max(last + 1, event.createdAt);
    const record = eventEntry(event, id, last);
    const index = locate(id, event.tenant) === last ? undefined : idEntry(id, last, event.tenant);
    const pending = event.acknowledgedAt === null ? inboxEntry(event, last) : undefined;
    return writer.write(record.value.length, () => {
      const held = claim && claims.take(claim, event);
      if (held !== undefined) return held;
      appendEntry(events, record);
      if (index !== undefined) ids.putSync(index.key, index.value);
      if (pending !== undefined) {
        inbox.putSync(pending.key, pending.value);
        counts.add(event.tenant, 1);
      }
      return STORED;
    });
  }

  function get(tenant: string, id: string): StoredEvent | undefined {
    const sequence = find(tenant, id);
    return sequence === undefined ? undefined : decodeEvent(readRecord(id, sequence).value);
  }

  async function acknowledge(tenant: string, id: string, at: Micros): Promise<Acknowledgement> {
    return writer.write(SMALL, () => {
      const sequence = find(tenant, id);
      if (sequence === undefined) return { outcome: 'missing' };
      const { key, value } = readRecord(id, sequence);
      const event = decodeEvent(value);
      if (event.acknowledgedAt !== null) return { outcome: 'already', event };
      const entry = acknowledgedEntry(key, value, at);
      events.putSync(entry.key, entry.value);
      removePending(tenant, sequence);
      return { outcome: 'acknowledged', event: { ...event, acknowledgedAt: at } };
    });
  }

  /** By its place alone, so that a damaged event can be removed. */
  async function remove(tenant: string, id: string): Promise<boolean> {
    return writer.write(SMALL, () => {
      const sequence = find(tenant, id);
      const key = idKey(id);
      if (sequence === undefined || key === undefined) return false;
      events.removeSync(sequenceKey(sequence));
      if (locate(key, tenant) !== sequence) ids.removeSync(key);
      removePending(tenant, sequence);
      return true;
    });
  }

  function removePending(tenant: string, sequence: Sequence): void {
    if (inbox.removeSync(inboxKey(tenant, sequence))) counts.add(tenant, -1);
  }
}

/** Finding and reading single events. */
function createLookup({ events, ids, inbox }: Lmdb, expiredTo: () => Micros) {
  return { find, readRecord };

  /** Where the event is; undefined when it is missing, expired or another tenant's. */
  function find(tenant: string, id: string): Sequence | undefined {
    const key = idKey(id);
    if (key === undefined) return undefined;
    const told = locate(key, tenant);
    const sequence = told !== undefined && isThere(told, key, tenant) ? told : indexed(key, tenant, id);
    return sequence !== undefined && sequence > expiredTo() ? sequence : undefined;
  }

  /**
   * Anybody can make up an id that tells any place. Where the record is damaged or gone, it takes other evidence that it is,
   * or was, this tenant's: an entry of the inbox, or what is left of the record itself.
   */
  function isThere(sequence: Sequence, id: Buffer, tenant: string): boolean {
    const key = sequenceKey(sequence);
    const value = readValue(events, key);
    if (value !== undefined) {
      const [sameId, sameTenant] = [recordedId(value).equals(id), recordedTenant(value) === tenant];
      if (sameId && sameTenant) return true;
      if (isIntact(key, value)) return false;
      if (sameId || sameTenant) return true;
    }
    return readValue(inbox, inboxKey(tenant, sequence)) !== undefined;
  }

  function indexed(key: Buffer, tenant: string, id: string): Sequence | undefined {
    const value = readValue(ids, key);
    if (value === undefined) return undefined;
    if (!isIntact(key, value)) throw new CorruptEventError(`The index entry of event ${id} is damaged`);
    const entry = idEntryBody(value);
    return entry.tenant === tenant ? entry.sequence : undefined;
  }

  /** The value is good until the next read. */
  function readRecord(id: string, sequence: Sequence): { key: Buffer; value: Buffer } {
    const key = sequenceKey(sequence);
    const value = readValue(events, key);
    if (value === undefined)
      throw new CorruptEventError(`The record of event ${id} is not where it should be`);
    if (!isIntact(key, value)) throw new CorruptEventError(`The record of event ${id} is damaged`);
    return { key, value };
  }
}

const STORED: Appended = { outcome: 'stored' };

/** Bytes that a write without a payload holds while it waits, about. */
const SMALL = 256;
