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
  const note = jsonEntry(Buffer.from(NAME), FORMAT);
  const value = readValue(meta, note.key);
  if (value !== undefined && isIntact(note.key, value)) {
    const found = jsonBody(value) as number;
    if (found <= FORMAT) return;
    throw new UnusableStoreError(
      `The store ${file} has format ${String(found)}, of a newer version of this service; this version knows formats up to ` +
        `${String(FORMAT)}. Start the newer version, or set DATA_DIR to another folder`,
    );
  }
  if (value !== undefined)
    onDamage(new Error(`The note of the format in ${file} is damaged; it is written again`));
  meta.putSync(note.key, note.value);
}
