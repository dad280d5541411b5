import type { Micros } from '../event.ts';
import { CorruptEventError } from '../store-errors.ts';
import { readValue, type Lmdb, type Table } from './database.ts';
import { decodeLease, leaseEntry, type LeaseRecord } from './lease-record.ts';
import { createLeasedPlaces, type LeasedPlaces, type Range } from './leased-places.ts';
import { isIntact } from './seal.ts';
import { sequenceKey, sequenceOf, type Sequence } from './sequence.ts';

/** The table `leases`, and what memory knows of it. Methods that write are to be called within a transaction. */
export interface LeaseTable {
  readonly places: LeasedPlaces;
  /** A damaged record is reported, and counts as none: its event may then be handed out twice. */
  at(sequence: Sequence): LeaseRecord | undefined;
  /** Puts the record of an event that is leased; the caller tells the places when it comes back. */
  put(sequence: Sequence, record: LeaseRecord): void;
  /** Puts another record. That event alone comes back at the time that it says. */
  change(sequence: Sequence, from: LeaseRecord, to: LeaseRecord): void;
  /** Removes what leases have left on an event. */
  remove(sequence: Sequence): void;
  /** To be called at a start: tells the places what the table says. Returns the calls that can be repeated, by name. */
  readonly recall: (time: Micros) => ReadonlyMap<string, Call>;
}

/**
 * @param onDamage gets each damaged record as often as it is read.
 * @param onHold is told when events of a tenant will come back.
 */
export function createLeaseTable(
  { leases }: Lmdb,
  onDamage: (error: Error) => void,
  onHold?: (tenant: string, until: Micros) => void,
): LeaseTable {
  const places = createLeasedPlaces(undefined, onHold);

  function checked(key: Buffer, value: Buffer, sequence: Sequence): LeaseRecord | undefined {
    if (isIntact(key, value)) return decodeLease(value);
    onDamage(new CorruptEventError(`The lease of the event at ${String(sequence)} is damaged`));
    return undefined;
  }

  function drop(sequence: Sequence, { id }: LeaseRecord): void {
    if (id === null) places.drop(nameOf(sequence));
    else if (!places.drop(id)) places.drop(handOf(id));
  }

  function put(sequence: Sequence, record: LeaseRecord): void {
    const { key, value } = leaseEntry(sequence, record);
    leases.putSync(key, value);
  }

  return {
    places,
    at(sequence) {
      const key = sequenceKey(sequence);
      const value = readValue(leases, key);
      return value && checked(key, value, sequence);
    },
    put,
    change(sequence, from, to) {
      drop(sequence, from);
      put(sequence, to);
      holdOne(places, sequence, to);
    },
    remove(sequence) {
      const key = sequenceKey(sequence);
      const value = readValue(leases, key);
      if (value === undefined) return;
      const record = checked(key, value, sequence);
      if (record !== undefined) drop(sequence, record);
      leases.removeSync(key);
    },
    recall: (time) => recall(leases, places, time),
  };
}

function holdOne(places: LeasedPlaces, sequence: Sequence, { tenant, id, until }: LeaseRecord): void {
  places.hold(tenant, id ?? nameOf(sequence), until, { first: sequence, last: sequence }, 1);
}

/** Until when the event at that place is leased, if it is. */
export function runningUntil(
  leases: Pick<LeaseTable, 'at'>,
  sequence: Sequence,
  time: Micros,
): Micros | undefined {
  const record = leases.at(sequence);
  return record !== undefined && record.id !== null && record.until > time ? record.until : undefined;
}

/** The part of a lease's id that names the call: a call that is repeated later has the same. */
export function callOf(leaseId: string): string {
  return leaseId.slice(0, CALL_DIGITS);
}

/** The part of a lease's id that all leases have that were handed out together, and no others. */
export function handOf(leaseId: string): string {
  return leaseId.slice(0, CALL_DIGITS + SALT_DIGITS);
}

export const CALL_DIGITS = 16;
export const SALT_DIGITS = 12;

/** Of an event that waits for its next try. */
function nameOf(sequence: Sequence): string {
  return String(sequence);
}

/** A call that can be repeated, and where its events are. */
export interface Call extends Range {
  /** The end of its last lease. */
  until: Micros;
}

/** Takes 1 s for a million records. */
function recall(leases: Table, places: LeasedPlaces, time: Micros): Map<string, Call> {
  const hands = new Map<string, Call & { events: number; readonly tenant: string }>();
  const calls = new Map<string, Call>();
  for (const { key, value } of leases.getRange({})) {
    const sequence = sequenceOf(key);
    if (sequence === undefined || !isIntact(key, value)) continue;
    const record = decodeLease(value);
    const { id, tenant, until } = record;
    if (until <= time) continue;
    const hand = id === null ? undefined : hands.get(handOf(id));
    if (id !== null && hand === undefined) {
      hands.set(handOf(id), { tenant, until, first: sequence, last: sequence, events: 1 });
    } else if (hand?.until === until) {
      hand.last = sequence;
      hand.events++;
    } else {
      // Its lease was extended, or the others' have been.
      holdOne(places, sequence, record);
    }
    if (id === null || !record.repeatable) continue;
    const call = calls.get(callOf(id));
    if (call === undefined) calls.set(callOf(id), { first: sequence, last: sequence, until });
    else Object.assign(call, { last: sequence, until: Math.max(call.until, until) });
  }
  for (const [name, { tenant, until, first, last, events }] of hands) {
    places.hold(tenant, name, until, { first, last }, events);
  }
  return calls;
}
