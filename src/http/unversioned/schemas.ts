import Type from 'typebox';
import { eventId, name, time } from '../fields.ts';

export const CreateEventBody = Type.Object(
  {
    event_type: name('what has happened'),
    source: Type.Optional(name('where the event comes from')),
    payload: Type.Object({}, { description: 'any JSON object, returned as the very text that was sent' }),
  },
  { additionalProperties: false },
);

export const InboxParameters = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
    cursor: Type.Optional(Type.String({ minLength: 1, description: '`next_cursor` of the page before' })),
    event_type: Type.Optional(name('exact match')),
  },
  { additionalProperties: false },
);

export const Status = Type.Object({
  status: Type.Literal('ok'),
  version: Type.String(),
  uptime_seconds: Type.Number(),
});

export const Created = Type.Object({
  event_id: eventId,
  timestamp: time,
  delivered: Type.Literal(false),
  deduplicated: Type.Boolean(),
});

export const Event = Type.Object({
  event_id: eventId,
  event_type: Type.String(),
  source: Type.Union([Type.String(), Type.Null()]),
  payload: Type.Object({}),
  timestamp: time,
  delivered: Type.Boolean(),
  updated_at: Type.Union([time, Type.Null()], { description: 'when it was delivered' }),
});

export const InboxPage = Type.Object({
  events: Type.Array(Event),
  pagination: Type.Object({
    next_cursor: Type.Union([Type.String(), Type.Null()]),
    has_more: Type.Boolean(),
    total_undelivered: Type.Integer(),
    total_is_lower_bound: Type.Optional(Type.Literal(true)),
  }),
});

export const ErrorBody = Type.Object({
  status: Type.Integer(),
  error_code: Type.String(),
  message: Type.String(),
  details: Type.Union([
    Type.Array(Type.Object({ field: Type.String(), message: Type.String() })),
    Type.Null(),
  ]),
  correlation_id: Type.String(),
});
