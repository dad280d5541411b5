import type { Append, Appended, Claim, Failed } from '../event-store.ts';
import type { StoredEvent } from '../event.ts';
import type { Hint } from '../watchers.ts';
import type { Counts } from './counts.ts';
import { appendEntry, type Lmdb } from './database.ts';
import type { Disk } from './disk.ts';
import type { Claims } from './embedded-claims.ts';
import { idKey, locate } from './event-id.ts';
import { eventEntry } from './event-record.ts';
import { idEntry } from './id-index.ts';
import { inboxEntry } from './inbox-index.ts';
import type { Entry } from './seal.ts';
import type { Sequence } from './sequence.ts';
import type { Sequences } from './sequences.ts';
import { oneOfMany, writeMany } from './write-many.ts';
import type { Writer } from './writer.ts';

interface Parts {
  readonly lmdb: Lmdb;
  readonly writer: Writer;
  readonly counts: Counts;
  readonly claims: Claims;
  readonly sequences: Sequences;
  readonly disk: Disk | undefined;
  /** Is told of each tenant that gets a pending event, before that is on disk. */
  readonly touch: (tenant: string, event?: Hint) => void;
}

/** Stores new events. */
export function createAppends({ lmdb, writer, counts, claims, sequences, disk, touch }: Parts) {
  const { events, ids, inbox } = lmdb;
  return { append, appendMany };

  function append(event: StoredEvent, claim?: Claim): Promise<Appended> {
    const refusal = disk?.refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    const made = make(event);
    if (made === undefined) return Promise.reject(notAnId(event));
    return writer.write(event.tenant, made.bytes, () => {
      disk?.admit(made.bytes);
      return put(made, claim);
    });
  }

  /** Writes keep the order of their calls, so the sequence is known, and the record is made, before the transaction. */
  function make(event: StoredEvent): NewRecord | undefined {
    const id = idKey(event.id);
    if (id === undefined) return undefined;
    const sequence = sequences.next(event.createdAt);
    const record = eventEntry(event, id, sequence);
    // One literal: an object made by spreading costs microseconds.
    return {
      event,
      sequence,
      record,
      bytes: record.value.length,
      index: locate(id, event.tenant) === sequence ? undefined : idEntry(id, sequence, event.tenant),
      pending: event.acknowledgedAt === null ? inboxEntry(event, sequence) : undefined,
    };
  }

  function put({ event, sequence, record, index, pending }: NewRecord, claim: Claim | undefined): Appended {
    const held = claim && claims.take(claim, event);
    if (held !== undefined) return held;
    appendEntry(events, record);
    if (index !== undefined) ids.putSync(index.key, index.value);
    if (pending !== undefined) {
      inbox.putSync(pending.key, pending.value);
      counts.added(event.tenant, sequence);
      touch(event.tenant, event);
    }
    return STORED;
  }

  /** One write, which is in one transaction as a whole: all of its events are stored, or none. */
  async function appendMany(
    tenant: string,
    appends: readonly Append[],
  ): Promise<readonly (Appended | Failed)[]> {
    const refusal = disk?.refusal();
    if (refusal !== undefined) throw refusal;
    const made = appends.map(({ event, claim }) => {
      const one = make(event);
      if (one === undefined) throw notAnId(event);
      return { one, claim };
    });
    const bytes = made.reduce((sum, { one }) => sum + one.bytes, 0);
    return writeMany(writer, tenant, bytes, appends.length, () => {
      disk?.admit(bytes);
      return made.map(({ one, claim }) => oneOfMany(() => put(one, claim)));
    });
  }
}

function notAnId({ id }: StoredEvent): TypeError {
  return new TypeError(`The id of an event is a UUID in lower case, not ${id}`);
}

/** What an append puts, made beforehand. */
interface NewRecord {
  readonly event: StoredEvent;
  readonly sequence: Sequence;
  readonly record: Entry;
  /** Of the record. */
  readonly bytes: number;
  readonly index: Entry | undefined;
  readonly pending: Entry | undefined;
}

const STORED: Appended = { outcome: 'stored' };
