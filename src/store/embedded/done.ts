import type { Micros } from '../event.ts';
import { CorruptEventError } from '../store-errors.ts';
import { readValue, type Table } from './database.ts';
import { BODY_START, isIntact, newEntry, seal, type Entry } from './seal.ts';
import { readSequence, SEQUENCE_BYTES, sequenceKey, sequenceOf, writeSequence } from './sequence.ts';
import type { Sequence } from './sequence.ts';

/**
 * The table `done`: sequence -> when the event was acknowledged. Its keys are in the order of time, whatever the tenants, because
 * one page is then shared by all acknowledgements of a transaction: docs/decisions/034-acknowledged-in-a-table-of-its-own.md.
 */
export function doneEntry(sequence: Sequence, at: Micros): Entry {
  const entry = newEntry(SEQUENCE_BYTES, SEQUENCE_BYTES);
  writeSequence(entry.key, sequence, 0);
  writeSequence(entry.value, at, BODY_START);
  return seal(entry);
}

/** What an intact entry says. */
export function decodeDone(value: Buffer): Micros {
  return readSequence(value, BODY_START);
}

/**
 * When the event at that place was acknowledged; null: its entry is not there.
 *
 * @throws a `CorruptEventError` when the entry is damaged.
 */
export function doneAt(done: Table, sequence: Sequence): Micros | null {
  const key = sequenceKey(sequence);
  const value = readValue(done, key);
  if (value === undefined) return null;
  if (!isIntact(key, value)) {
    throw new CorruptEventError(`The acknowledgement of the event at ${String(sequence)} is damaged`);
  }
  return decodeDone(value);
}

/** Place of the newest event that is known to be acknowledged; 0 without one. */
export function newestDone(done: Table): Sequence {
  for (const { key, value } of done.getRange({ reverse: true })) {
    if (isIntact(key, value)) return sequenceOf(key) ?? 0;
  }
  return 0;
}
