import Type from 'typebox';

export const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** 1-255 characters, counted as code points, as JSON Schema does. */
export const name = (description: string) =>
  Type.Refine(
    Type.String({ minLength: 1, maxLength: 255, description }),
    (text) => text.isWellFormed(),
    () => 'must be well-formed Unicode (it holds half of a surrogate pair)',
  );

export const eventId = Type.String({ description: 'UUID' });
export const time = Type.String({
  description: 'ISO 8601 UTC with microseconds',
  examples: ['2026-01-01T12:00:00.123456Z'],
});
/** Path parameters of the routes of one event. Ids may be in upper case; handlers get them in lower case (`compileEndpoint`). */
export const EventParams = Type.Object({
  event_id: Type.Refine(
    eventId,
    (text) => UUID.test(text),
    () => 'must be a UUID, as it came in the reply to POST',
  ),
});
