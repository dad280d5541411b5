import type { Static, TSchema } from 'typebox';
import type * as schemas from './schemas.ts';

const EVENT_ID = '3f0e6c1e-6d6c-4f3c-9a54-0d8f6f8a4c11';
const CREATED_AT = '2026-01-01T12:00:00.123456Z';
const request_id = '0b1d4f0e-9d0a-4c9e-8a58-6a1f6c0e2b77';

const event = {
  event_id: EVENT_ID,
  source: 'shop',
  event_type: 'order.paid',
  payload: { order: 7, total: 19.9, currency: 'EUR' },
  metadata: { correlation_id: 'checkout-4711', priority: 'high' },
  status: 'pending',
  created_at: CREATED_AT,
  acknowledged_at: null,
} as const;

interface Reply<Schema extends TSchema> {
  readonly reply: Static<Schema>;
}

export const health: Reply<typeof schemas.Health> = {
  reply: { status: 'healthy', timestamp: CREATED_AT, version: '0.1.0' },
};

export const ready: Reply<typeof schemas.Ready> = { reply: { status: 'ready', timestamp: CREATED_AT } };

export const createEvent: Reply<typeof schemas.Created> & { body: Static<typeof schemas.CreateEventBody> } = {
  body: {
    source: event.source,
    event_type: event.event_type,
    payload: event.payload,
    metadata: event.metadata,
  },
  reply: {
    event_id: EVENT_ID,
    created_at: CREATED_AT,
    status: 'pending',
    message: 'event stored',
    request_id,
  },
};

export const readEvent: Reply<typeof schemas.EventWithRequestId> = { reply: { ...event, request_id } };

export const inboxPage: Reply<typeof schemas.InboxPage> = {
  reply: { events: [event], pagination: { next_cursor: null, limit: 50 }, request_id },
};

export const acknowledge: Reply<typeof schemas.Acknowledged> = {
  reply: {
    event_id: EVENT_ID,
    status: 'acknowledged',
    acknowledged_at: '2026-01-01T12:00:01.456789Z',
    message: 'event acknowledged',
    request_id,
  },
};

export const deleteEvent: Reply<typeof schemas.Deleted> = {
  reply: { event_id: EVENT_ID, message: 'event deleted', request_id },
};
