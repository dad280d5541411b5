import type { Shares } from '../shares.ts';

/**
 * Bound of payloads in inbox pages under way, in bytes of their text. Bytes count from before the payloads are read until the page
 * is returned; the reply made from it lives until it is sent. One tenant alone has half: sixteen pages of 4 MiB, or a thousand of
 * 64 KB. For each byte the process holds several for a moment: in the answer as it came, in its decoded form, and in the text.
 */
export const PAGE_BYTES = 128 * 1024 * 1024;

/** Bound of payloads in claimed appends under way, which the group commit does not count. */
export const CLAIMED_BYTES = 64 * 1024 * 1024;

/** Runs a call that takes bytes from the shares. All that it took is given back when it settles. */
export async function withShare<T>(
  shares: Shares,
  tenant: string,
  run: (take: (bytes: number) => boolean) => Promise<T>,
): Promise<T> {
  let held = 0;
  try {
    return await run((bytes) => {
      if (!shares.take(tenant, bytes)) return false;
      held += bytes;
      return true;
    });
  } finally {
    shares.give(tenant, held);
  }
}
