import type { Failed } from '../event-store.ts';
import { CorruptEventError, StoreUnavailableError } from '../store-errors.ts';
import type { Writer } from './writer.ts';

/** The items in parts of `size`, of which the last may be smaller. */
export function partsOf<Item>(items: readonly Item[], size: number): (readonly Item[])[] {
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

/** A damaged record concerns one item. `run` reads it before it writes. */
export function oneOfMany<Result>(run: () => Result): Result | Failed {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof CorruptEventError)) throw error;
    return failure(error);
  }
}

export function failure(error: unknown): Failed {
  return { outcome: 'failed', error: error instanceof Error ? error : new Error(String(error)) };
}
