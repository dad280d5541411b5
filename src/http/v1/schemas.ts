import Type, { type TSchema } from 'typebox';
import { MANY } from '../../store/event-store.ts';
import {
  cursor,
  DISTINCT,
  errorCode,
  eventId,
  fieldErrors,
  name,
  nextCursor,
  payload,
  requestId,
  time,
} from '../fields.ts';

const status = Type.Enum(['pending', 'acknowledged']);

export const Metadata = Type.Object(
  {
    correlation_id: Type.Optional(Type.String()),
    priority: Type.Optional(Type.Enum(['low', 'normal', 'high'], { default: 'normal' })),
    idempotency_key: Type.Optional(
      name('Makes a repeated request harmless, as the header `Idempotency-Key`'),
    ),
  },
  { description: 'Up to 8,192 bytes of JSON text. Other members than these are kept as they are' },
);

export const CreateEventBody = Type.Object(
  {
    source: name('Where the event comes from'),
    event_type: name('What has happened'),
    payload,
    metadata: Type.Optional(Metadata),
  },
  { additionalProperties: false },
);

export const CreateEventsBody = Type.Object(
  {
    events: Type.Array(CreateEventBody, {
      minItems: 1,
      maxItems: MANY,
      description: 'Each is checked by itself: a wrong one is `rejected`, and the others are stored',
    }),
  },
  { additionalProperties: false },
);

export const AcknowledgeEventsBody = Type.Object(
  {
    event_ids: Type.Array(eventId, {
      minItems: 1,
      maxItems: MANY,
      [DISTINCT]: true,
      description: 'All different',
    }),
  },
  { additionalProperties: false },
);

/** `idempotencyKey` in wire.ts checks it. */
export const CreateEventHeaders = Type.Object({
  'Idempotency-Key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      pattern: '^[!-~](?:[ -~]*[!-~])?$',
      description:
        'Makes a repeated request harmless: the same key with the same content gets the first reply again. ' +
        'Printable ASCII; `metadata.idempotency_key` takes any text. If both are sent, they must be equal',
      examples: ['order-7-paid'],
    }),
  ),
});

export const CreatedHeaders = Type.Object({
  Location: Type.String({
    description: 'Path of the event',
    examples: [`/v1/events/3f0e6c1e-6d6c-4f3c-9a54-0d8f6f8a4c11`],
  }),
  'Idempotent-Replayed': Type.Optional(
    Type.Literal('true', { description: 'The event was there already: this is its first reply again' }),
  ),
});

export const InboxParameters = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100, default: 50, description: 'Events on a page, at most' }),
    ),
    cursor: Type.Optional(cursor),
    source: Type.Optional(name('Exact match')),
    event_type: Type.Optional(name('Exact match')),
  },
  { additionalProperties: false },
);

const event = {
  event_id: eventId,
  source: Type.Union([Type.String(), Type.Null()], {
    description: 'Null of an event that came through the unversioned contract without one',
  }),
  event_type: Type.String(),
  payload,
  metadata: Type.Union([Type.Object({}), Type.Null()], { description: 'As it was sent, with its priority' }),
  status,
  created_at: time,
  acknowledged_at: Type.Union([time, Type.Null()]),
};

export const Event = Type.Object(event);

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

const itemError = Type.Optional(
  Type.Object(
    {
      code: errorCode,
      message: Type.String({ description: 'Meant for people: what to fix' }),
      details: Type.Optional(fieldErrors),
    },
    { description: 'Of an item that is not good' },
  ),
);

/** The results of a call for many items. */
function many<Members extends Record<string, TSchema>>(outcomes: readonly string[], members: Members) {
  return Type.Object({
    results: Type.Array(
      Type.Object({
        index: Type.Integer({ description: 'Place of the item in the request' }),
        outcome: Type.Enum([...outcomes]),
        ...members,
        error: itemError,
        retryable: Type.Optional(
          Type.Boolean({ description: 'Of an item that is not good: whether the same may succeed later' }),
        ),
      }),
      { description: 'One for each item, in the order of the request' },
    ),
    summary: Type.Record(Type.String(), Type.Integer(), {
      description: 'How often each outcome came',
    }),
    request_id: requestId,
  });
}

export const CreatedMany = many(['created', 'duplicate', 'rejected', 'failed'], {
  event_id: Type.Optional(eventId),
  created_at: Type.Optional(time),
});

export const AcknowledgedMany = many(['acknowledged', 'already_acknowledged', 'not_found', 'failed'], {
  event_id: eventId,
  acknowledged_at: Type.Optional(time),
});

export const EventWithRequestId = Type.Object({ ...event, request_id: requestId });

export const InboxPage = Type.Object({
  events: Type.Array(Event),
  pagination: Type.Object({
    next_cursor: nextCursor,
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
    code: errorCode,
    message: Type.String({ description: 'Meant for people: what to fix' }),
    details: fieldErrors,
    request_id: requestId,
  }),
});
