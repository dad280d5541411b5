import type { Claim, EventStore, Failed } from '../store/event-store.ts';
import type { Clock } from './clock.ts';
import type { Micros, StoredEvent } from '../store/event.ts';

/** An event as a producer sends it; payload and metadata are JSON text. */
export type EventDraft = Pick<StoredEvent, 'source' | 'type' | 'payload' | 'metadata'>;

export type Ingested =
  | { readonly outcome: 'stored' | 'duplicate'; readonly id: string; readonly createdAt: Micros }
  | { readonly outcome: 'conflict' };

/** Makes the claim of an event with that time. */
export type MakeClaim = (createdAt: Micros) => Claim;

/**
 * Gives the draft an id and a time and stores it. Resolves when the event is durable, with the id and time of the stored
 * event; for a duplicate they are those of the first event.
 *
 * @param claim without it every event is new.
 */
export async function ingest(
  store: EventStore,
  clock: Clock,
  tenant: string,
  draft: EventDraft,
  claim?: MakeClaim,
): Promise<Ingested> {
  const event = newEvent(store, clock, tenant, draft);
  const { id, createdAt } = event;
  const appended = await store.append(event, claim?.(createdAt));
  return appended.outcome === 'stored' ? { outcome: 'stored', id, createdAt } : appended;
}

/** `ingest` for many drafts: they come into the inbox in their order. Resolves, in that order, with what came of each. */
export async function ingestMany(
  store: EventStore,
  clock: Clock,
  tenant: string,
  drafts: readonly { readonly draft: EventDraft; readonly claim: MakeClaim | undefined }[],
): Promise<readonly (Ingested | Failed)[]> {
  const appends = drafts.map(({ draft, claim }) => {
    const event = newEvent(store, clock, tenant, draft);
    return { event, claim: claim?.(event.createdAt) };
  });
  const results = await store.appendMany(tenant, appends);
  return results.map((result, index) => {
    if (result.outcome !== 'stored') return result;
    const { id = '', createdAt = 0 } = appends[index]?.event ?? {};
    return { outcome: 'stored', id, createdAt };
  });
}

function newEvent(
  store: EventStore,
  clock: Clock,
  tenant: string,
  { source, type, payload, metadata }: EventDraft,
): StoredEvent {
  const createdAt = clock.tick();
  const id = store.newId(tenant, createdAt);
  return { id, tenant, source, type, payload, metadata, createdAt, acknowledgedAt: null };
}
