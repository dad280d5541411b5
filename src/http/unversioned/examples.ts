import type { Static, TSchema } from 'typebox';
import type * as schemas from './schemas.ts';

const EVENT_ID = '3f0e6c1e-6d6c-4f3c-9a54-0d8f6f8a4c11';

const event = {
  event_id: EVENT_ID,
  event_type: 'order.paid',
  source: 'shop',
  payload: { order: 8, total: 5, currency: 'EUR' },
  timestamp: '2026-01-01T12:00:00.123456Z',
  delivered: false,
  updated_at: null,
} as const;

interface Reply<Schema extends TSchema> {
  readonly reply: Static<Schema>;
}

export const status: Reply<typeof schemas.Status> = {
  reply: { status: 'ok', version: '0.1.0', uptime_seconds: 86_400.123 },
};

export const createEvent: Reply<typeof schemas.Created> & { body: Static<typeof schemas.CreateEventBody> } = {
  body: { event_type: event.event_type, source: event.source, payload: event.payload },
  reply: { event_id: EVENT_ID, timestamp: event.timestamp, delivered: false, deduplicated: false },
};

export const readEvent: Reply<typeof schemas.Event> = { reply: event };

export const inboxPage: Reply<typeof schemas.InboxPage> = {
  reply: { events: [event], pagination: { next_cursor: null, has_more: false, total_undelivered: 1 } },
};
