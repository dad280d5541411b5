import { UnusableStoreError } from '../store-errors.ts';
import { readValue } from './database.ts';
import type { Table } from './database.ts';
import { isIntact, jsonBody, jsonEntry } from './seal.ts';

/** What this build writes. To be raised whenever an older build would misread a folder, with a way to it from the one before. */
export const FORMAT = 1;

/** Its entry never changes its form, whatever the format: an older build must be able to read it. */
const NAME = 'format';

/**
 * Notes the format in a folder that has none yet, which is a new one, or of a build before formats were noted; their format is 1.
 *
 * @param onDamage told when the note is damaged; it is made anew.
 * @throws an `UnusableStoreError` when a newer build wrote the folder.
 */
export function checkFormat(meta: Table, file: string, onDamage: (error: Error) => void): void {
  const note = jsonEntry(Buffer.from(NAME), FORMAT);
  const value = readValue(meta, note.key);
  if (value !== undefined && isIntact(note.key, value)) {
    const found = jsonBody(value) as number;
    if (found <= FORMAT) return;
    throw new UnusableStoreError(
      `The store ${file} has format ${String(found)}, of a newer version of this service; this one knows formats up to ` +
        `${String(FORMAT)}. Start the newer version, or set DATA_DIR to another folder`,
    );
  }
  if (value !== undefined)
    onDamage(new Error(`The note of the format in ${file} is damaged; it is made anew`));
  meta.putSync(note.key, note.value);
}
