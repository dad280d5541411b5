import type { Claim, EventStore } from '../store/event-store.ts';
import type { Clock } from './clock.ts';
import type { Micros, StoredEvent } from '../store/event.ts';

/** An event as a producer sends it; payload and metadata are JSON text. */
export type EventDraft = Pick<StoredEvent, 'source' | 'type' | 'payload' | 'metadata'>;

export type Ingested =
  | { readonly outcome: 'stored' | 'duplicate'; readonly id: string; readonly createdAt: Micros }
  | { readonly outcome: 'conflict' };

/**
 * Gives the draft an id and a time and stores it. Resolves when the event is durable, with the id and time of the stored
 * event; for a duplicate they are those of the first event.
 *
 * @param claim makes the claim of an event with that time. Without it every event is new.
 */
export async function ingest(
  store: EventStore,
  clock: Clock,
  tenant: string,
  { source, type, payload, metadata }: EventDraft,
  claim?: (createdAt: Micros) => Claim,
): Promise<Ingested> {
  const createdAt = clock.tick();
  const id = store.newId(tenant, createdAt);
  const event: StoredEvent = { id, tenant, source, type, payload, metadata, createdAt, acknowledgedAt: null };
  const appended = await store.append(event, claim?.(createdAt));
  return appended.outcome === 'stored' ? { outcome: 'stored', id, createdAt } : appended;
}
