import Type from 'typebox';
import {
  cursor,
  errorCode,
  eventId,
  fieldErrors,
  name,
  nextCursor,
  payload,
  requestId,
  time,
} from '../fields.ts';

export const CreateEventBody = Type.Object(
  {
    event_type: name('What has happened'),
    source: Type.Optional(name('Where the event comes from')),
    payload,
  },
  { additionalProperties: false },
);

export const InboxParameters = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Events on a page, at most' }),
    ),
    cursor: Type.Optional(cursor),
    event_type: Type.Optional(name('Exact match')),
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
  deduplicated: Type.Boolean({ description: 'An equal event came a short time ago: nothing was stored' }),
});

export const Event = Type.Object({
  event_id: eventId,
  event_type: Type.String(),
  source: Type.Union([Type.String(), Type.Null()]),
  payload,
  timestamp: time,
  delivered: Type.Boolean(),
  updated_at: Type.Union([time, Type.Null()], { description: 'When it was delivered; null before' }),
});

export const InboxPage = Type.Object({
  events: Type.Array(Event),
  pagination: Type.Object({
    next_cursor: nextCursor,
    has_more: Type.Boolean(),
    total_undelivered: Type.Integer({ description: 'Of the tenant, whatever the filter' }),
    total_is_lower_bound: Type.Optional(
      Type.Literal(true, { description: 'There are more: counting has stopped' }),
    ),
  }),
});

export const ErrorBody = Type.Object({
  status: Type.Integer({ description: 'HTTP status' }),
  error_code: errorCode,
  message: Type.String({ description: 'Meant for people: what to fix' }),
  details: fieldErrors,
  correlation_id: requestId,
});
