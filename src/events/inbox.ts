import { InvalidPositionError } from '../store/store-errors.ts';
import type { EventStore, PageRequest, PendingPage } from '../store/event-store.ts';
import type { LeaseStore } from '../store/lease-store.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import type { Micros, StoredEvent } from '../store/event.ts';

export interface InboxQuery {
  /** At least 1. */
  readonly limit: number;
  readonly cursor?: string;
  readonly source?: string;
  readonly type?: string;
}

export interface InboxPage {
  readonly events: readonly StoredEvent[];
  /** Until when those of the events are leased that are, by id. */
  readonly leasedUntil?: ReadonlyMap<string, Micros>;
  /** Null at the end of the walk. */
  readonly nextCursor: string | null;
  /** Of a first page: as `EventStore.pendingTag`. */
  readonly tag?: string;
}

/** One page of a tenant's pending events, oldest first; `invalid-cursor` for a cursor that this contract did not give out. */
export function readInbox(
  store: EventStore,
  contract: string,
  tenant: string,
  query: InboxQuery,
): Promise<InboxPage | 'invalid-cursor'> {
  return readPage(contract, tenant, query, (page) => store.listPending(tenant, page));
}

/** One page of a tenant's events in quarantine, as `readInbox`. A cursor of the one is none of the other. */
export function readQuarantine(
  store: LeaseStore,
  contract: string,
  tenant: string,
  query: InboxQuery,
): Promise<InboxPage | 'invalid-cursor'> {
  return readPage(`${contract}-quarantine`, tenant, query, (page) => store.listQuarantined(tenant, page));
}

async function readPage(
  scope: string,
  tenant: string,
  { cursor, ...query }: InboxQuery,
  list: (page: PageRequest) => Promise<PendingPage>,
): Promise<InboxPage | 'invalid-cursor'> {
  const after = cursor === undefined ? null : decodeCursor(tenant, scope, cursor);
  if (after === undefined) return 'invalid-cursor';
  try {
    const { next, ...page } = await list({ ...query, after });
    return { ...page, nextCursor: next === null ? null : encodeCursor(tenant, scope, next) };
  } catch (error) {
    // The checksum is right, but the cursor comes from another kind of store, or is forged.
    if (error instanceof InvalidPositionError) return 'invalid-cursor';
    throw error;
  }
}
