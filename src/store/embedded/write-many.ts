import type { Failed } from '../event-store.ts';
import { CorruptEventError, StoreUnavailableError } from '../store-errors.ts';
import { unlessRefused } from '../unless-refused.ts';
import type { Writer } from './writer.ts';

/** The items in parts of `size`, of which the last may be smaller. */
function partsOf<Item>(items: readonly Item[], size: number): (readonly Item[])[] {
  const parts: (readonly Item[])[] = [];
  for (let at = 0; at < items.length; at += size) parts.push(items.slice(at, at + size));
  return parts;
}

/**
 * Runs a write for many items. Once it has run, whether it is on disk is not known if it fails: then each item is `failed`. It
 * rejects only if it has not run.
 */
export async function writeMany<Result>(
  writer: Writer,
  tenant: string,
  bytes: number,
  writes: number,
  run: () => readonly Result[],
): Promise<readonly (Result | Failed)[]> {
  let ran = false as boolean;
  try {
    return await writer.write(
      tenant,
      bytes,
      () => {
        const results = run();
        ran = true;
        return results;
      },
      Math.max(1, writes),
    );
  } catch (error) {
    if (!ran || !(error instanceof StoreUnavailableError)) throw error;
    return Array.from({ length: writes }, () => failure(error));
  }
}

/**
 * Writes for many items in parts, each in one transaction and before what is written later. Rejects only if nothing has run.
 *
 * @param run is to be called within a transaction, and catches what concerns one item.
 */
export async function inParts<Item, Result extends { readonly outcome: string }>(
  writer: Writer,
  tenant: string,
  items: readonly Item[],
  run: (item: Item) => Result | Failed,
): Promise<readonly (Result | Failed)[]> {
  const refusal = writer.refusal();
  if (refusal !== undefined) throw refusal;
  const results = await Promise.all(
    partsOf(items, TOGETHER).map((part) =>
      writeMany(writer, tenant, SMALL_WRITE_BYTES * part.length, part.length, () => part.map(run)).catch(
        (error: unknown) => part.map(() => failure(error)),
      ),
    ),
  );
  return unlessRefused(results.flat());
}

/**
 * A checksum is made over each record of up to 400 KB, and one that is moved is put again: more of them would hold a transaction,
 * and with it the event loop.
 */
const TOGETHER = 20;

/** About the bytes of memory that a write without a payload holds while it waits. */
export const SMALL_WRITE_BYTES = 256;

/** A damaged record, or a disk without room, concerns one item. `run` finds out before it writes. */
export function oneOfMany<Result>(run: () => Result): Result | Failed {
  try {
    return run();
  } catch (error) {
    if (error instanceof CorruptEventError || error instanceof StoreUnavailableError) return failure(error);
    throw error;
  }
}

export function failure(error: unknown): Failed {
  return { outcome: 'failed', error: error instanceof Error ? error : new Error(String(error)) };
}
