import type { Micros, StoredEvent } from '../../events/event.ts';
import { CorruptEventError } from '../errors.ts';
import type { Acknowledgement } from '../store.ts';
import type { Counts } from './counts.ts';
import { appendEntry, readValue } from './database.ts';
import type { Lmdb } from './database.ts';
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
  sequenceKey,
} from './record.ts';
import type { Sequence } from './record.ts';
import type { Writer } from './writer.ts';

interface Parts {
  readonly lmdb: Lmdb;
  readonly writer: Writer;
  readonly counts: Counts;
  /** Events up to this time have expired. */
  readonly expiredTo: () => Micros;
  /** The newest sequence stored. */
  readonly after: Sequence;
}

/** Writing and reading single events. */
export function createEvents({ lmdb, writer, counts, expiredTo, after }: Parts) {
  const { events, ids, inbox } = lmdb;
  const { find, readRecord } = createLookup(lmdb, expiredTo);
  let last = after;

  return { append, get, acknowledge, remove };

  async function append(event: StoredEvent): Promise<void> {
    const id = idKey(event.id);
    if (id === undefined) throw new TypeError(`The id of an event is a UUID in lower case, not ${event.id}`);
    // Writes keep the order of their calls, so the sequence is known, and the record made, before the transaction.
    last = Math.max(last + 1, event.createdAt);
    const record = eventEntry(event, id, last);
    const index = idEntry(id, last, event.tenant);
    const pending = event.acknowledgedAt === null ? inboxEntry(event, last) : undefined;
    return writer.write(record.value.length, () => {
      appendEntry(events, record);
      ids.putSync(index.key, index.value);
      if (pending === undefined) return;
      inbox.putSync(pending.key, pending.value);
      counts.add(event.tenant, 1);
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

  /** By the index alone, so that a damaged event can be removed. */
  async function remove(tenant: string, id: string): Promise<boolean> {
    return writer.write(SMALL, () => {
      const sequence = find(tenant, id);
      const key = idKey(id);
      if (sequence === undefined || key === undefined) return false;
      events.removeSync(sequenceKey(sequence));
      ids.removeSync(key);
      removePending(tenant, sequence);
      return true;
    });
  }

  function removePending(tenant: string, sequence: Sequence): void {
    if (inbox.removeSync(inboxKey(tenant, sequence))) counts.add(tenant, -1);
  }
}

/** Finding and reading single events. */
function createLookup({ events, ids }: Lmdb, expiredTo: () => Micros) {
  return { find, readRecord };

  /** Where the event is; undefined when it is missing, expired or another tenant's. */
  function find(tenant: string, id: string): Sequence | undefined {
    const key = idKey(id);
    const value = key && readValue(ids, key);
    if (key === undefined || value === undefined) return undefined;
    if (!isIntact(key, value)) throw new CorruptEventError(`The index entry of event ${id} is damaged`);
    const entry = idEntryBody(value);
    return entry.tenant === tenant && entry.sequence > expiredTo() ? entry.sequence : undefined;
  }

  /** The value is good until the next read. */
  function readRecord(id: string, sequence: Sequence): { key: Buffer; value: Buffer } {
    const key = sequenceKey(sequence);
    const value = readValue(events, key);
    if (value === undefined)
      throw new CorruptEventError(`The record of event ${id} is not where its index entry says`);
    if (!isIntact(key, value)) throw new CorruptEventError(`The record of event ${id} is damaged`);
    return { key, value };
  }
}

/** Bytes that a write without a payload holds while it waits, about. */
const SMALL = 256;
