import { createBatches, type Batches } from './batches.ts';
import type { Call } from './call.ts';
import { eventFrom, type TriggersEvent } from './event.ts';
import { keyHeader, wireFrom, type NewEvent } from './new-event.ts';
import type { CallOptions, SendOptions } from './options.ts';
import type { WireAcknowledged, WireCreated, WireDeleted, WireEvent } from './wire.ts';

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

export interface Events extends Batches {
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
    ...createBatches(call),

    async send(event, { signal, idempotencyKey } = {}) {
      const { body, headers } = await call({
        method: 'POST',
        path: '/v1/events',
        // Made before the first try: all tries are the same request.
        body: JSON.stringify(wireFrom(event)),
        headers: keyHeader(event.metadata, idempotencyKey),
        signal,
        success: { statuses: [201], member: 'event_id' },
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
        success: { statuses: [200], member: 'event_id' },
      });
      return eventFrom(body as WireEvent);
    },

    async ack(eventId, options = {}) {
      const { body } = await call({
        method: 'POST',
        path: `${pathOf(eventId)}/ack`,
        signal: options.signal,
        success: { statuses: [200], member: 'acknowledged_at' },
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
        success: { statuses: [200], member: 'event_id' },
      });
      return { eventId: (body as WireDeleted).event_id };
    },
  };
  return events;
}

function pathOf(eventId: string): string {
  // URLs drop such a segment, and what is left would be another route.
  if (/^\.*$/.test(eventId)) throw new TypeError('eventId must be the id of an event');
  return `/v1/events/${encodeURIComponent(eventId)}`;
}
