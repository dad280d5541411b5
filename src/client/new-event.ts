import type { Metadata, WireNewEvent } from './wire.ts';

export interface NewEvent {
  /** Where the event comes from: 1-255 characters. */
  readonly source: string;
  /** What has happened: 1-255 characters. */
  readonly eventType: string;
  /** A JSON object of up to 409,600 bytes. */
  readonly payload: object;
  readonly metadata?: Metadata | undefined;
}

/** As the service takes it. */
export function wireFrom({ source, eventType, payload, metadata }: NewEvent): WireNewEvent {
  return { source, event_type: eventType, payload, ...(metadata === undefined ? {} : { metadata }) };
}

/** @throws a `TypeError` for a key that no header can carry. */
export function keyHeader(metadata: Metadata | undefined, given: string | undefined): Record<string, string> {
  if (given === undefined && metadata?.idempotency_key !== undefined) return {};
  const key = given ?? randomKey();
  if (!/^[ -~]{1,255}$/.test(key)) {
    throw new TypeError(
      'idempotencyKey must be 1-255 characters of printable ASCII; metadata.idempotency_key takes any text',
    );
  }
  return { 'idempotency-key': key };
}

/** 128 random bits. `crypto.randomUUID` is missing in browsers on pages that came without TLS. */
export function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
