import Type from 'typebox';
import Format from 'typebox/format';
import { STATUSES, type ErrorCode } from './request-error.ts';

export const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
// TypeBox's own `uuid` also takes `urn:uuid:`.
Format.Set('uuid', (text) => UUID.test(text));

/** 1-255 characters, counted as code points, as JSON Schema does. */
export const name = (description: string) =>
  Type.Refine(
    Type.String({ minLength: 1, maxLength: 255, description }),
    (text) => text.isWellFormed(),
    () => 'must be well-formed Unicode (it holds half of a surrogate pair)',
  );

/**
 * Stands for `uniqueItems` in a schema. Only the document has that; the handler checks it: TypeBox takes quadratic time to say which
 * items are there twice (12 s for 40,000).
 */
export const DISTINCT = 'distinctItems';

export const eventId = Type.String({
  format: 'uuid',
  description: 'UUID of an event, as it came in the reply to POST',
  examples: ['3f0e6c1e-6d6c-4f3c-9a54-0d8f6f8a4c11'],
});
export const time = Type.String({
  format: 'date-time',
  description: 'ISO 8601 UTC with microseconds',
  examples: ['2026-01-01T12:00:00.123456Z'],
});
export const requestId = Type.String({
  description: 'Id of the request, as in `X-Request-ID`: quote it when you report a fault',
  examples: ['0b1d4f0e-9d0a-4c9e-8a58-6a1f6c0e2b77'],
});
export const payload = Type.Object(
  {},
  { description: 'Any JSON object. It is returned as the very text that was sent' },
);
export const fieldErrors = Type.Union(
  [
    Type.Array(
      Type.Object({
        field: Type.String({ description: 'Dotted path; `body` or `query` for the whole' }),
        message: Type.String(),
      }),
    ),
    Type.Null(),
  ],
  { description: 'Every field that is wrong, of a validation error; null of other errors' },
);
export const errorCode = Type.Enum(Object.keys(STATUSES) as ErrorCode[], {
  description: 'Meant for programs',
});
/** Query parameters of both inboxes. */
export const cursor = Type.String({
  minLength: 1,
  description: '`next_cursor` of the page before; without it, the walk starts with the oldest event',
});
export const nextCursor = Type.Union([Type.String(), Type.Null()], {
  description: 'Send it as `cursor` to get the next page; null at the end of the walk',
});
/** Path parameters of the routes of one event. Ids may be in upper case; handlers get them in lower case (`compileEndpoint`). */
export const EventParams = Type.Object({ event_id: eventId });
