import type { Micros } from '../event.ts';
import { CorruptEventError } from '../store-errors.ts';
import { readValue, type Table } from './database.ts';
import { BODY_START, bodyEnd, isIntact, newEntry, seal, type Entry } from './seal.ts';
import { ID_BYTES } from './lease-record.ts';
import { readSequence, SEQUENCE_BYTES, sequenceKey, sequenceOf, writeSequence } from './sequence.ts';
import type { Sequence } from './sequence.ts';

/** That an event was acknowledged. */
export interface Done {
  readonly at: Micros;
  /** The lease that acknowledged it, so that it may do so again; null: it was acknowledged by its id. */
  readonly leaseId: string | null;
}

/**
 * The table `done`: sequence -> when the event was acknowledged, and by which lease. Its keys are in the order of time, whatever the tenants, because
 * one page is then shared by all acknowledgements of a transaction: docs/decisions/034-acknowledged-in-a-table-of-its-own.md.
 */
export function doneEntry(sequence: Sequence, { at, leaseId }: Done): Entry {
  const entry = newEntry(SEQUENCE_BYTES, SEQUENCE_BYTES + (leaseId === null ? 0 : ID_BYTES));
  writeSequence(entry.key, sequence, 0);
  writeSequence(entry.value, at, BODY_START);
  if (leaseId !== null) entry.value.write(leaseId, LEASE_START, 'hex');
  return seal(entry);
}

const LEASE_START = BODY_START + SEQUENCE_BYTES;

/**
 * Undefined: the event at that place has not been acknowledged, or its record says it.
 *
 * @throws a `CorruptEventError` when the entry is damaged.
 */
export function doneAt(done: Table, sequence: Sequence): Done | undefined {
  const key = sequenceKey(sequence);
  const value = readValue(done, key);
  if (value === undefined) return undefined;
  if (!isIntact(key, value)) {
    throw new CorruptEventError(`The acknowledgement of the event at ${String(sequence)} is damaged`);
  }
  const end = bodyEnd(value);
  const leaseId = end === LEASE_START ? null : value.toString('hex', LEASE_START, end);
  return { at: readSequence(value, BODY_START), leaseId };
}

/** Place of the newest event that is known to be acknowledged; 0 without one. */
export function newestDone(done: Table): Sequence {
  for (const { key, value } of done.getRange({ reverse: true })) {
    if (isIntact(key, value)) return sequenceOf(key) ?? 0;
  }
  return 0;
}
