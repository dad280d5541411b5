import type { Static } from 'typebox';
import { formatMicros } from '../../events/clock.ts';
import type { StoredEvent } from '../../store/event.ts';
import type { EventDraft } from '../../events/ingest.ts';
import { cutPayload } from '../payload.ts';
import type { CreateEventBody } from './schemas.ts';

/** Bytes of JSON text. */
export const PAYLOAD_LIMIT = 262_144;

/** @param text the body as it was sent; `body` is what it means. */
export function readDraft(text: string, body: Static<typeof CreateEventBody>): EventDraft {
  const { payload } = cutPayload(text, PAYLOAD_LIMIT);
  return { source: body.source ?? null, type: body.event_type, payload, metadata: null };
}

/** JSON text, made from stored JSON text without parsing it. */
export function eventJson(event: StoredEvent): string {
  const { id, acknowledgedAt } = event;
  const updatedAt = acknowledgedAt === null ? 'null' : `"${formatMicros(acknowledgedAt)}"`;
  return (
    `{"event_id":"${id}","event_type":${JSON.stringify(event.type)},"source":${JSON.stringify(event.source)},` +
    `"payload":${event.payload},"timestamp":"${formatMicros(event.createdAt)}",` +
    `"delivered":${String(acknowledgedAt !== null)},"updated_at":${updatedAt}}`
  );
}
