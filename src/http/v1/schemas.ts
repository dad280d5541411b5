import Type from 'typebox';
import { eventId, name, time } from '../fields.ts';

const requestId = Type.String();
const status = Type.Enum(['pending', 'acknowledged']);

export const Metadata = Type.Object({
  correlation_id: Type.Optional(Type.String()),
  priority: Type.Optional(Type.Enum(['low', 'normal', 'high'])),
  idempotency_key: Type.Optional(name('makes a repeated request harmless')),
});

export const CreateEventBody = Type.Object(
  {
    source: name('where the event comes from'),
    event_type: name('what has happened'),
    payload: Type.Object({}, { description: 'any JSON object, returned as the very text that was sent' }),
    metadata: Type.Optional(Metadata),
  },
  { additionalProperties: false },
);

export const InboxParameters = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 50 })),
    cursor: Type.Optional(Type.String({ minLength: 1, description: '`next_cursor` of the page before' })),
    source: Type.Optional(name('exact match')),
    event_type: Type.Optional(name('exact match')),
  },
  { additionalProperties: false },
);

const event = {
  event_id: eventId,
  source: Type.Union([Type.String(), Type.Null()]),
  event_type: Type.String(),
  payload: Type.Object({}),
  metadata: Type.Union([Type.Object({}), Type.Null()]),
  status,
  created_at: time,
  acknowledged_at: Type.Union([time, Type.Null()]),
};

export const Health = Type.Object({
  status: Type.Literal('healthy'),
  timestamp: time,
  version: Type.String(),
});

export const Ready = Type.Object({ status: Type.Literal('ready'), timestamp: time });

export const Created = Type.Object({
  event_id: eventId,
  created_at: time,
  status: Type.Literal('pending'),
  message: Type.String(),
  request_id: requestId,
});

export const EventWithRequestId = Type.Object({ ...event, request_id: requestId });

export const InboxPage = Type.Object({
  events: Type.Array(Type.Object(event)),
  pagination: Type.Object({
    next_cursor: Type.Union([Type.String(), Type.Null()]),
    limit: Type.Integer(),
  }),
  request_id: requestId,
});

export const Acknowledged = Type.Object({
  event_id: eventId,
  status: Type.Literal('acknowledged'),
  acknowledged_at: time,
  message: Type.String(),
  request_id: requestId,
});

export const Deleted = Type.Object({
  event_id: eventId,
  message: Type.String(),
  request_id: requestId,
});

export const ErrorBody = Type.Object({
  error: Type.Object({
    code: Type.String(),
    message: Type.String(),
    details: Type.Union([
      Type.Array(Type.Object({ field: Type.String(), message: Type.String() })),
      Type.Null(),
    ]),
    request_id: requestId,
  }),
});
