import { InvalidPositionError } from '../store/store-errors.ts';
import type { EventStore } from '../store/event-store.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import type { StoredEvent } from '../store/event.ts';

export interface InboxQuery {
  /** At least 1. */
  readonly limit: number;
  readonly cursor?: string;
  readonly source?: string;
  readonly type?: string;
}

export interface InboxPage {
  readonly events: readonly StoredEvent[];
  /** Null at the end of the walk. */
  readonly nextCursor: string | null;
}

/** One page of a tenant's pending events, oldest first; `invalid-cursor` for a cursor that this contract did not give out. */
export async function readInbox(
  store: EventStore,
  contract: string,
  tenant: string,
  { cursor, ...query }: InboxQuery,
): Promise<InboxPage | 'invalid-cursor'> {
  const after = cursor === undefined ? null : decodeCursor(tenant, contract, cursor);
  if (after === undefined) return 'invalid-cursor';
  try {
    const { events, next } = await store.listPending(tenant, { ...query, after });
    return { events, nextCursor: next === null ? null : encodeCursor(tenant, contract, next) };
  } catch (error) {
    // The checksum is right, but the cursor comes from another kind of store, or is forged.
    if (error instanceof InvalidPositionError) return 'invalid-cursor';
    throw error;
  }
}
