import { randomUUID } from 'node:crypto';
import type { EventStore } from '../store/store.ts';
import type { Clock } from './clock.ts';
import type { StoredEvent } from './event.ts';

/** An event as a producer sends it; payload and metadata are JSON text. */
export type EventDraft = Pick<StoredEvent, 'source' | 'type' | 'payload' | 'metadata'>;

/** Gives the draft its id and its time and stores it. Resolves when the event is durable. */
export async function ingest(
  store: EventStore,
  clock: Clock,
  tenant: string,
  { source, type, payload, metadata }: EventDraft,
): Promise<StoredEvent> {
  const event: StoredEvent = {
    id: randomUUID(),
    tenant,
    source,
    type,
    payload,
    metadata,
    createdAt: clock.tick(),
    acknowledgedAt: null,
  };
  await store.append(event);
  return event;
}
