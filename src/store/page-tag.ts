import { createHash } from 'node:crypto';

/**
 * A text for what a page shows, of 132 bits: `EventStore.pendingTag` for the adapters.
 *
 * @param shown what it shows, as text that is the same only for the same.
 */
export function pageTag(shown: string, hasMore: boolean): string {
  return createHash('sha256')
    .update(`${String(hasMore)}\n${shown}`)
    .digest('base64url')
    .slice(0, 22);
}

/** The tag of a page without events. */
export const EMPTY_PAGE_TAG = pageTag('', false);
