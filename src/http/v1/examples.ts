import type { Static, TSchema } from 'typebox';
import type * as schemas from './schemas.ts';

const EVENT_ID = '3f0e6c1e-6d6c-4f3c-9a54-0d8f6f8a4c11';
const OTHER_ID = '8d0c7a52-3c1f-4a4e-8a61-5f0a9f2d7e10';
const CREATED_AT = '2026-01-01T12:00:00.123456Z';
const ACKNOWLEDGED_AT = '2026-01-01T12:00:01.456789Z';
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

export const createEvents: Reply<typeof schemas.CreatedMany> & {
  body: Static<typeof schemas.CreateEventsBody>;
} = {
  body: {
    events: [
      { source: 'shop', event_type: 'order.paid', payload: { order: 7 } },
      { source: 'shop', event_type: 'order.shipped', payload: { order: 7, parcels: 1 } },
    ],
  },
  reply: {
    results: [
      { index: 0, outcome: 'created', event_id: EVENT_ID, created_at: CREATED_AT },
      { index: 1, outcome: 'created', event_id: OTHER_ID, created_at: '2026-01-01T12:00:00.123457Z' },
    ],
    summary: { created: 2 },
    request_id,
  },
};

export const acknowledgeEvents: Reply<typeof schemas.AcknowledgedMany> & {
  body: Static<typeof schemas.AcknowledgeEventsBody>;
} = {
  body: { event_ids: [EVENT_ID, OTHER_ID] },
  reply: {
    results: [
      { index: 0, outcome: 'acknowledged', event_id: EVENT_ID, acknowledged_at: ACKNOWLEDGED_AT },
      { index: 1, outcome: 'already_acknowledged', event_id: OTHER_ID, acknowledged_at: CREATED_AT },
    ],
    summary: { acknowledged: 1, already_acknowledged: 1 },
    request_id,
  },
};

export const readEvent: Reply<typeof schemas.EventWithRequestId> = { reply: { ...event, request_id } };

export const inboxPage: Reply<typeof schemas.InboxPage> = {
  reply: {
    events: [{ ...event, leased_until: null }],
    pagination: { next_cursor: null, limit: 50 },
    request_id,
  },
};

const TOKEN = 'yRyH1nS9kD8_Dm4cbWxPPJpUDY9vikwRVBNGfnT3S8OBV8Y1c2J4CUIkT9mDZyXq8A';
const OTHER_TOKEN = 'b0cXqk6y4pKND4x6Ujwf9k6KYV8Kny1-EM7Zsm1zYo1oMTv5R0c9CEIkT9mDZyXq9g';
const EXPIRES_AT = '2026-01-01T12:01:00.234567Z';

export const leaseEvents: Reply<typeof schemas.Leases> & { body: Static<typeof schemas.LeaseBody> } = {
  body: { limit: 10, lease_seconds: 60, wait_seconds: 20 },
  reply: {
    events: [{ ...event, lease: { token: TOKEN, expires_at: EXPIRES_AT, attempt: 1, last_reason: null } }],
    settled: [],
    backlog: { empty: false, pending: 1, is_lower_bound: false },
    request_id,
  },
};

export const settleLeases: Reply<typeof schemas.SettledMany> & { body: Static<typeof schemas.SettleBody> } = {
  body: {
    ack: [TOKEN],
    release: [{ token: OTHER_TOKEN, delay_seconds: 30, reason: 'the warehouse does not answer' }],
  },
  reply: {
    results: [
      {
        ...{ index: 0, outcome: 'acknowledged', action: 'ack', event_id: EVENT_ID },
        acknowledged_at: ACKNOWLEDGED_AT,
      },
      { index: 1, outcome: 'released', action: 'release', event_id: OTHER_ID },
    ],
    summary: { acknowledged: 1, released: 1 },
    request_id,
  },
};

export const quarantinePage: Reply<typeof schemas.QuarantinePage> = {
  reply: {
    events: [
      {
        ...event,
        ...{ status: 'quarantined', attempts: 3, last_reason: 'no such order' },
        quarantined_at: EXPIRES_AT,
      },
    ],
    pagination: { next_cursor: null, limit: 50 },
    request_id,
  },
};

export const redriveEvents: Reply<typeof schemas.RedrivenMany> & {
  body: Static<typeof schemas.RedriveBody>;
} = {
  body: { event_ids: [EVENT_ID] },
  reply: {
    results: [{ index: 0, outcome: 'redriven', event_id: EVENT_ID }],
    summary: { redriven: 1 },
    request_id,
  },
};

export const acknowledge: Reply<typeof schemas.Acknowledged> = {
  reply: {
    event_id: EVENT_ID,
    status: 'acknowledged',
    acknowledged_at: ACKNOWLEDGED_AT,
    message: 'event acknowledged',
    request_id,
  },
};

export const deleteEvent: Reply<typeof schemas.Deleted> = {
  reply: { event_id: EVENT_ID, message: 'event deleted', request_id },
};
