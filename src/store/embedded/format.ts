import { UnusableStoreError } from '../store-errors.ts';
import { readValue } from './database.ts';
import type { Table } from './database.ts';
import { isIntact, jsonBody, jsonEntry } from './seal.ts';

/** The format that this build writes. Raise it when an older build would misread a folder, and upgrade older folders then. */
export const FORMAT = 1;

/** The form of this entry never changes, whatever the format: an older build must be able to read it. */
const NAME = 'format';

/**
 * Notes the format in a folder without a note. Such a folder is new, or comes from a build that noted no format; its format is 1.
 *
 * @param onDamage is called when the note is damaged; it is written again.
 * @throws an `UnusableStoreError` when a newer build wrote the folder.
 */
export function checkFormat(meta: Table, file: string, onDamage: (error: Error) => void): void {
  const found = checkKnownFormat(meta, file);
  if (found === 'known') return;
  if (found === 'damaged')
    onDamage(new Error(`The note of the format in ${file} is damaged; it is written again`));
  const note = jsonEntry(Buffer.from(NAME), FORMAT);
  meta.putSync(note.key, note.value);
}

/** The part of it that writes nothing. @throws as `checkFormat` does. */
export function checkKnownFormat(meta: Table, file: string): 'known' | 'missing' | 'damaged' {
  const key = Buffer.from(NAME);
  const value = readValue(meta, key);
  if (value === undefined) return 'missing';
  if (!isIntact(key, value)) return 'damaged';
  const found = jsonBody(value) as number;
  if (found <= FORMAT) return 'known';
  throw new UnusableStoreError(
    `The store ${file} has format ${String(found)}, of a newer version of this service; this version knows formats up to ` +
      `${String(FORMAT)}. Start the newer version, or set DATA_DIR to another folder`,
  );
}
