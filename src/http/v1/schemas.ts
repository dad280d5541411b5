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

const status = Type.Enum(['pending', 'quarantined', 'acknowledged']);

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

const eventIds = (description: string) =>
  Type.Array(eventId, { minItems: 1, maxItems: MANY, [DISTINCT]: true, description });

export const AcknowledgeEventsBody = Type.Object(
  {
    event_ids: eventIds('All different'),
    force: Type.Optional(
      Type.Boolean({ default: false, description: 'Whether to acknowledge events that somebody has leased' }),
    ),
  },
  { additionalProperties: false },
);

const token = Type.String({
  minLength: 1,
  maxLength: 255,
  description: 'Of a lease, as it came with its event. Each token once in a call',
  examples: ['dGhlIHRva2VuIG9mIGEgbGVhc2UsIGFzIGl0IGNhbWUgd2l0aCBpdHMgZXZlbnQ'],
});
const reason = Type.Optional(
  Type.Refine(
    Type.String({
      maxLength: 256,
      description: 'Whoever leases the event next gets it as `last_reason`, and the quarantine shows it',
    }),
    (text) => text.isWellFormed(),
    () => 'must be well-formed Unicode (it holds half of a surrogate pair)',
  ),
);
/** Seconds of a lease, or of a delay: twelve hours at most. */
const MOST_SECONDS = 43_200;

function listOf<Item extends TSchema>(item: Item, description: string) {
  return Type.Optional(Type.Array(item, { maxItems: MANY, [DISTINCT]: true, description }));
}

const settle = {
  ack: listOf(token, 'Acknowledges their events'),
  release: listOf(
    Type.Object(
      {
        token,
        delay_seconds: Type.Optional(
          Type.Integer({
            minimum: 0,
            maximum: MOST_SECONDS,
            default: 0,
            description: 'Until it can be leased again',
          }),
        ),
        failed: Type.Optional(
          Type.Boolean({ default: true, description: 'False: this lease is not counted as an attempt' }),
        ),
        reason,
      },
      { additionalProperties: false },
    ),
    'Gives their events back, for another try',
  ),
  reject: listOf(
    Type.Object({ token, reason }, { additionalProperties: false }),
    'Puts their events into quarantine',
  ),
  extend: listOf(
    Type.Object(
      {
        token,
        lease_seconds: Type.Integer({ minimum: 1, maximum: MOST_SECONDS, description: 'From now' }),
      },
      { additionalProperties: false },
    ),
    'Lets them run longer, or shorter',
  ),
};

export const SettleBody = Type.Object(settle, {
  additionalProperties: false,
  description: '1-500 leases in all',
});

const waitSeconds = Type.Optional(
  Type.Integer({
    ...{ minimum: 0, maximum: 20, default: 0 },
    description: 'Where there is nothing, the answer waits so long for something',
  }),
);

export const LeaseBody = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100, default: 10, description: 'Events, at most' }),
    ),
    lease_seconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MOST_SECONDS,
        default: 60,
        description: 'How long the leases run',
      }),
    ),
    wait_seconds: waitSeconds,
    source: Type.Optional(name('Exact match')),
    event_type: Type.Optional(name('Exact match')),
    settle: Type.Optional(
      Type.Object(settle, {
        additionalProperties: false,
        description: 'Done before anything is leased, as by `POST /v1/inbox/settle`: up to 500 leases',
      }),
    ),
  },
  { additionalProperties: false },
);

/** `headerKey` in wire.ts checks it. */
export const LeaseHeaders = idempotencyKey(
  'Repeated within `lease_seconds`, the call gets those leases again that are not settled, and no new ones',
  'worker-7-4711',
);

/** `wantedIds` in quarantine.ts checks that it is one or the other. */
export const RedriveBody = Type.Object(
  {
    event_ids: Type.Optional(eventIds('All different. Either these, or `limit` with or without a filter')),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MANY, description: 'Events, at most' })),
    source: Type.Optional(name('Exact match')),
    event_type: Type.Optional(name('Exact match')),
  },
  { additionalProperties: false },
);

function idempotencyKey(description: string, example: string) {
  return Type.Object({
    'Idempotency-Key': Type.Optional(
      Type.String({
        ...{ minLength: 1, maxLength: 255, pattern: '^[!-~](?:[ -~]*[!-~])?$' },
        description,
        examples: [example],
      }),
    ),
  });
}

/** `idempotencyKey` in wire.ts checks it. */
export const CreateEventHeaders = idempotencyKey(
  'Makes a repeated request harmless: the same key with the same content gets the first reply again. ' +
    'Printable ASCII; `metadata.idempotency_key` takes any text. If both are sent, they must be equal',
  'order-7-paid',
);

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

export const WaitingInboxParameters = Type.Object(
  { ...InboxParameters.properties, wait_seconds: waitSeconds },
  { additionalProperties: false },
);

export const InboxHeaders = Type.Object({
  'If-None-Match': Type.Optional(
    Type.String({ description: '`ETag` of the first page that the client has: 304 if it shows the same' }),
  ),
});

export const InboxReplyHeaders = Type.Object({
  ETag: Type.Optional(
    Type.String({ description: 'Of a first page: weak, the same for as long as it shows the same' }),
  ),
  'Cache-Control': Type.Optional(Type.String({ description: 'With an `ETag`: `private, no-cache`' })),
});

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

function resultsOf<Members extends Record<string, TSchema>>(outcomes: readonly string[], members: Members) {
  return Type.Array(
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
  );
}

/** The reply to a call for many items. */
function many<Members extends Record<string, TSchema>>(outcomes: readonly string[], members: Members) {
  return Type.Object({
    results: resultsOf(outcomes, members),
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

export const AcknowledgedMany = many(
  ['acknowledged', 'already_acknowledged', 'leased', 'not_found', 'failed'],
  { event_id: eventId, acknowledged_at: Type.Optional(time) },
);

const SETTLED = [
  ...['acknowledged', 'released', 'quarantined', 'extended'],
  ...['lease_lost', 'lease_malformed', 'not_found', 'failed'],
];
const settled = {
  action: Type.Enum(['ack', 'release', 'reject', 'extend']),
  event_id: Type.Optional(eventId),
  acknowledged_at: Type.Optional(time),
  expires_at: Type.Optional(time),
};

export const SettledMany = many(SETTLED, settled);

export const RedrivenMany = many(['redriven', 'not_found', 'failed'], { event_id: eventId });

export const EventWithRequestId = Type.Object({ ...event, request_id: requestId });

function pageOf<Item extends TSchema>(item: Item) {
  return Type.Object({
    events: Type.Array(item),
    pagination: Type.Object({ next_cursor: nextCursor, limit: Type.Integer() }),
    request_id: requestId,
  });
}

export const InboxPage = pageOf(
  Type.Object({
    ...event,
    leased_until: Type.Union([time, Type.Null()], { description: 'The end of its lease; null: it is free' }),
  }),
);

const lastReason = Type.Union([Type.String(), Type.Null()], {
  description: 'What came with its last release that had a reason',
});

export const QuarantinePage = pageOf(
  Type.Object({
    ...event,
    attempts: Type.Integer({ description: 'How often it was leased without being acknowledged' }),
    last_reason: lastReason,
    quarantined_at: time,
  }),
);

export const Leases = Type.Object({
  events: Type.Array(
    Type.Object({
      ...event,
      lease: Type.Object({
        token: Type.String({ description: 'Opaque: shows that you have this lease' }),
        expires_at: time,
        attempt: Type.Integer({ description: 'Counts its leases, from 1' }),
        last_reason: lastReason,
      }),
    }),
    { description: 'Oldest first' },
  ),
  settled: resultsOf(SETTLED, settled),
  backlog: Type.Object({
    empty: Type.Boolean({
      description: 'There is really nothing. False with no events: all that is pending is leased',
    }),
    pending: Type.Integer({ description: 'Leased events included' }),
    is_lower_bound: Type.Boolean({ description: 'There may be more pending' }),
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
