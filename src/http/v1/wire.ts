import type { Static } from 'typebox';
import { formatMicros } from '../../events/clock.ts';
import type { StoredEvent } from '../../events/event.ts';
import type { EventDraft } from '../../events/ingest.ts';
import { cutMembers } from '../../events/json-text.ts';
import { invalidField, RequestError } from '../errors.ts';
import type { CreateEventBody } from './schemas.ts';

/** Bytes of JSON text. */
export const PAYLOAD_LIMIT = 409_600;
export const METADATA_LIMIT = 8_192;

/** @param text the body as it was sent; `body` is what it means. */
export function readDraft(text: string, body: Static<typeof CreateEventBody>): EventDraft {
  const cut = cutMembers(text, ['payload', 'metadata']);
  const payload = cut.payload ?? '{}';
  if (Buffer.byteLength(payload) > PAYLOAD_LIMIT) {
    throw new RequestError('PAYLOAD_TOO_LARGE', `payload: must have at most ${String(PAYLOAD_LIMIT)} bytes`);
  }
  return { source: body.source, type: body.event_type, payload, metadata: readMetadata(cut.metadata, body) };
}

function readMetadata(text: string | undefined, { metadata }: Static<typeof CreateEventBody>): string | null {
  if (text === undefined || metadata === undefined) return null;
  if (Buffer.byteLength(text) > METADATA_LIMIT) {
    throw invalidField('metadata', `must have at most ${String(METADATA_LIMIT)} bytes`);
  }
  if (metadata.priority !== undefined) return text;
  const members = text.slice(0, -1).trimEnd();
  return `${members}${members === '{' ? '' : ','}"priority":"normal"}`;
}

/** The members of an event, without the braces: JSON text made from stored JSON text, nothing parsed. */
export function eventMembers(event: StoredEvent): string {
  const source = event.source === null ? 'null' : JSON.stringify(event.source);
  const status = event.acknowledgedAt === null ? 'pending' : 'acknowledged';
  const acknowledgedAt = event.acknowledgedAt === null ? 'null' : `"${formatMicros(event.acknowledgedAt)}"`;
  return (
    `"event_id":"${event.id}","source":${source},"event_type":${JSON.stringify(event.type)},` +
    `"payload":${event.payload},"metadata":${event.metadata ?? 'null'},"status":"${status}",` +
    `"created_at":"${formatMicros(event.createdAt)}","acknowledged_at":${acknowledgedAt}`
  );
}
