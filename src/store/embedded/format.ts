import { UnusableStoreError } from '../store-errors.ts';
import { readValue } from './database.ts';
import type { Table } from './database.ts';
import { isIntact, jsonBody, jsonEntry } from './seal.ts';

/**
 * The format that this build writes. Raise it when an older build would misread a folder, and upgrade older folders then.
 *
 * 1: an acknowledgement is in the record of its event. 2: it is in the table `done`, which a build that knows only format 1 would
 * not look at, so that it would show an acknowledged event as pending. Records of format 1 stay as they are.
 */
export const FORMAT = 2;

/** The form of this entry never changes, whatever the format: an older build must be able to read it. */
const NAME = 'format';

/**
 * Notes the format of this build in a folder that has no note or that of an older format. A folder without a note is new, or comes
 * from a build that noted no format; its format is 1.
 *
 * @param onDamage is called when the note is damaged; it is written again.
 * @throws an `UnusableStoreError` when a newer build wrote the folder.
 */
export function checkFormat(meta: Table, file: string, onDamage: (error: Error) => void): void {
  const found = checkKnownFormat(meta, file);
  if (found === 'same') return;
  if (found === 'damaged')
    onDamage(new Error(`The note of the format in ${file} is damaged; it is written again`));
  const note = jsonEntry(Buffer.from(NAME), FORMAT);
  meta.putSync(note.key, note.value);
}

/** The part of it that writes nothing. @throws as `checkFormat` does. */
export function checkKnownFormat(meta: Table, file: string): 'same' | 'older' | 'missing' | 'damaged' {
  const key = Buffer.from(NAME);
  const value = readValue(meta, key);
  if (value === undefined) return 'missing';
  if (!isIntact(key, value)) return 'damaged';
  const found = jsonBody(value) as number;
  if (found === FORMAT) return 'same';
  if (found < FORMAT) return 'older';
  throw new UnusableStoreError(
    `The store ${file} has format ${String(found)}, of a newer version of this service; this version knows formats up to ` +
      `${String(FORMAT)}. Start the newer version, or set DATA_DIR to another folder`,
  );
}
