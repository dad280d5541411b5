import type { Call } from './call.ts';
import { eventFrom, type TriggersEvent } from './event.ts';
import type { CallOptions } from './options.ts';
import type {
  Metadata,
  WireAcknowledged,
  WireCreated,
  WireDeleted,
  WireEvent,
  WireNewEvent,
} from './wire.ts';

export interface NewEvent {
  /** Where the event comes from: 1-255 characters. */
  readonly source: string;
  /** What has happened: 1-255 characters. */
  readonly eventType: string;
  /** A JSON object of up to 409,600 bytes. */
  readonly payload: object;
  readonly metadata?: Metadata | undefined;
}

export interface SendOptions extends CallOptions {
  /**
   * The same event sent again with the same key is stored once: 1-255 characters of printable ASCII. Give one that comes
   * from your data (`order-7-paid`) where your own process may send an event twice. Without one each call makes its own.
   */
  readonly idempotencyKey?: string | undefined;
}

export interface Sent {
  readonly eventId: string;
  readonly createdAt: string;
  /** The event was stored by an earlier request with this key, which may be an earlier try of this call. */
  readonly replayed: boolean;
}

export interface Acknowledged {
  readonly eventId: string;
  readonly acknowledgedAt: string;
}

export interface Deleted {
  readonly eventId: string;
}

export interface Events {
  /** Sends an event. Once this resolves the event is durable, and stored once, whatever happened on the way. */
  send(event: NewEvent, options?: SendOptions): Promise<Sent>;
  /** Reads an event, pending or acknowledged. Rejects with `NOT_FOUND` where there is none. */
  get<Payload = Record<string, unknown>>(
    eventId: string,
    options?: CallOptions,
  ): Promise<TriggersEvent<Payload>>;
  /** Takes an event out of the inbox. Rejects with `CONFLICT` when that was done before, by another call. */
  ack(eventId: string, options?: CallOptions): Promise<Acknowledged>;
  /** Deletes an event for good. Resolves also where there was none. */
  delete(eventId: string, options?: CallOptions): Promise<Deleted>;
}

export function createEvents(call: Call): Events {
  const events: Events = {
    async send(event, { signal, idempotencyKey } = {}) {
      const { body, headers } = await call({
        method: 'POST',
        path: '/v1/events',
        // Made before the first try: all tries are the same request.
        body: JSON.stringify(wireFrom(event)),
        headers: keyHeader(event.metadata, idempotencyKey),
        signal,
        success: { status: 201, member: 'event_id' },
      });
      const created = body as WireCreated;
      return {
        eventId: created.event_id,
        createdAt: created.created_at,
        replayed: headers.get('idempotent-replayed') === 'true',
      };
    },

    async get(eventId, { signal } = {}) {
      const { body } = await call({
        method: 'GET',
        path: pathOf(eventId),
        signal,
        success: { status: 200, member: 'event_id' },
      });
      return eventFrom(body as WireEvent);
    },

    async ack(eventId, options = {}) {
      const { body } = await call({
        method: 'POST',
        path: `${pathOf(eventId)}/ack`,
        signal: options.signal,
        success: { status: 200, member: 'acknowledged_at' },
        doneBefore: 409,
      });
      if (body === null) {
        const { acknowledgedAt } = await events.get(eventId, options);
        return { eventId, acknowledgedAt: acknowledgedAt ?? '' };
      }
      const acknowledged = body as WireAcknowledged;
      return { eventId: acknowledged.event_id, acknowledgedAt: acknowledged.acknowledged_at };
    },

    async delete(eventId, { signal } = {}) {
      const { body } = await call({
        method: 'DELETE',
        path: pathOf(eventId),
        signal,
        success: { status: 200, member: 'event_id' },
      });
      return { eventId: (body as WireDeleted).event_id };
    },
  };
  return events;
}

function wireFrom({ source, eventType, payload, metadata }: NewEvent): WireNewEvent {
  return { source, event_type: eventType, payload, ...(metadata === undefined ? {} : { metadata }) };
}

function keyHeader(metadata: Metadata | undefined, given: string | undefined): Record<string, string> {
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
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function pathOf(eventId: string): string {
  // URLs drop such a segment, and what is left would be another route.
  if (/^\.*$/.test(eventId)) throw new TypeError('eventId must be the id of an event');
  return `/v1/events/${encodeURIComponent(eventId)}`;
}
