import type { Static } from 'typebox';
import Type from 'typebox';
import { formatMicros } from '../../events/clock.ts';
import type { Micros, StoredEvent } from '../../store/event.ts';
import type { EventDraft } from '../../events/ingest.ts';
import { invalidField } from '../request-error.ts';
import { name } from '../fields.ts';
import type { RequestHead } from '../head.ts';
import { cutPayload } from '../payload.ts';
import { compileCheck } from '../validate.ts';
import type { CreateEventBody } from './schemas.ts';

/** Bytes of JSON text. */
export const PAYLOAD_LIMIT = 409_600;
export const METADATA_LIMIT = 8_192;

/** @param text the body as it was sent; `body` is what it means. */
export function readDraft(text: string, body: Static<typeof CreateEventBody>): EventDraft {
  const { payload, metadata } = cutPayload(text, PAYLOAD_LIMIT);
  return { source: body.source, type: body.event_type, payload, metadata: readMetadata(metadata, body) };
}

const checkKey = compileCheck(Type.Object({ 'Idempotency-Key': name('') }), 'headers');

/** The key of a whole batch. */
export function headerKey({ idempotencyKey: header }: RequestHead): string | undefined {
  if (header !== undefined) checkHeaderKey(header);
  return header;
}

function checkHeaderKey(header: string): void {
  checkKey({ 'Idempotency-Key': header });
  // uWebSockets trims bytes beyond ASCII from the end of a header as if they were blanks, and replaces what is no UTF-8, so
  // different keys would become one.
  if (!/^[ -~]*$/.test(header)) {
    throw invalidField('Idempotency-Key', 'must be printable ASCII; metadata.idempotency_key takes any text');
  }
}

/** The key from the header or from metadata; throws if they differ. */
export function idempotencyKey(
  { idempotencyKey: header }: RequestHead,
  { metadata }: Static<typeof CreateEventBody>,
): string | undefined {
  const member = metadata?.idempotency_key;
  if (header === undefined) return member;
  checkHeaderKey(header);
  if (member !== undefined && member !== header) {
    throw invalidField('metadata.idempotency_key', 'differs from the Idempotency-Key header; send one');
  }
  return header;
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

/** The members of an event without the braces: JSON text, made from stored JSON text without parsing it. */
export function eventMembers(event: StoredEvent): string {
  const source = event.source === null ? 'null' : JSON.stringify(event.source);
  return (
    `"event_id":"${event.id}","source":${source},"event_type":${JSON.stringify(event.type)},` +
    `"payload":${event.payload},"metadata":${event.metadata ?? 'null'},"status":"${statusOf(event)}",` +
    `"created_at":"${formatMicros(event.createdAt)}","acknowledged_at":${timeOrNull(event.acknowledgedAt)}`
  );
}

function statusOf({ acknowledgedAt, quarantine }: StoredEvent): string {
  if (acknowledgedAt !== null) return 'acknowledged';
  return quarantine === undefined ? 'pending' : 'quarantined';
}

/** A time as JSON text. */
export function timeOrNull(time: Micros | null | undefined): string {
  return time === null || time === undefined ? 'null' : `"${formatMicros(time)}"`;
}
