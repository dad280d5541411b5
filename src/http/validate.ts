import type { Static, TSchema } from 'typebox';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import type { TLocalizedValidationError } from 'typebox/error';
import { Settings } from 'typebox/system';
import type { FieldError } from './request-error.ts';
import { validationError } from './request-error.ts';

/** How many errors a reply lists: enough for an honest mistake, and a bound for a body of 100,000 unknown fields. */
const MAX_LISTED = 200;
Settings.Set({ maxErrors: MAX_LISTED });

/**
 * Compiles a schema once. The function it returns gives back a valid value with the schema's type and throws a
 * `VALIDATION_ERROR` that names the wrong fields, 200 at most, otherwise. Only an invalid value costs the time to find out what is wrong.
 *
 * @param schema only its outermost object may refuse unknown fields.
 * @param whole the field name of errors of the value itself: `body` or `query`.
 */
export function compileCheck<Schema extends TSchema>(
  schema: Schema,
  whole: string,
): (value: unknown) => Static<Schema> {
  const validator = Compile(schema);
  return (value) => {
    if (validator.Check(value)) return value;
    const { known, unknown } = splitFields(schema, value);
    const errors = [
      ...describe(validator.Errors(known), whole),
      ...unknown.map((name) => ({
        field: name || whole,
        message: whole === 'query' ? 'is not a known parameter' : 'is not a known field',
      })),
    ];
    throw validationError(errors.slice(0, MAX_LISTED));
  };
}

/**
 * Takes unknown fields out of a value. TypeBox reports an error for each of them, which counts towards `maxErrors`, before it
 * reports all of them together: with 200 of them, only errors of the first kind would be left.
 *
 * @returns `unknown` with `MAX_LISTED` names at most.
 */
function splitFields(schema: TSchema, value: unknown): { known: unknown; unknown: readonly string[] } {
  const closed = Type.IsObject(schema) && 'additionalProperties' in schema && !schema.additionalProperties;
  if (!closed || typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { known: value, unknown: [] };
  }
  const fields = value as Readonly<Record<string, unknown>>;
  const known: Record<string, unknown> = {};
  for (const [name, property] of Object.entries(schema.properties)) {
    if (Object.hasOwn(fields, name)) known[name] = shortened(property, fields[name]);
  }
  const unknown: string[] = [];
  for (const name of Object.keys(fields)) {
    if (unknown.length === MAX_LISTED) break;
    if (!Object.hasOwn(schema.properties, name)) unknown.push(name);
  }
  return { known, unknown };
}

/** TypeBox looks at every item of a list that is too long: 174,000 in 512 KiB take 0.2 s. One more than it may have is enough. */
function shortened(schema: TSchema, value: unknown): unknown {
  const most: unknown = 'maxItems' in schema ? schema.maxItems : undefined;
  return typeof most === 'number' && Array.isArray(value) ? value.slice(0, most + 1) : value;
}

function describe(errors: readonly TLocalizedValidationError[], whole: string): FieldError[] {
  return errors.flatMap((error) => {
    const path = error.instancePath.split('/').slice(1).map(unescapePointer);
    if (error.keyword !== 'required') {
      return [{ field: path.join('.') || whole, message: describeValue(error) }];
    }
    return error.params.requiredProperties.map((name) => ({
      field: [...path, name].join('.'),
      message: 'is required',
    }));
  });
}

/** RFC 6901, section 4. */
function unescapePointer(token: string): string {
  return token.replaceAll('~1', '/').replaceAll('~0', '~');
}

function describeValue(error: TLocalizedValidationError): string {
  switch (error.keyword) {
    case 'minLength':
      return error.params.limit === 1
        ? 'must not be empty'
        : `must have at least ${String(error.params.limit)} characters`;
    case 'maxLength':
      return `must have at most ${String(error.params.limit)} characters`;
    case 'minimum':
      return `must be at least ${String(error.params.limit)}`;
    case 'maximum':
      return `must be at most ${String(error.params.limit)}`;
    case 'type':
      return `must be ${[error.params.type].flat().map(article).join(' or ')}`;
    case 'enum':
      return `must be one of ${error.params.allowedValues.map((value) => JSON.stringify(value)).join(', ')}`;
    case 'format':
      return FORMATS[error.params.format] ?? error.message;
    case '~refine':
      return error.params.message;
    default:
      return error.message;
  }
}

const FORMATS: Readonly<Record<string, string>> = {
  uuid: 'must be a UUID, as it came in the reply to POST',
};

function article(type: string): string {
  return /^[aeio]/.test(type) ? `an ${type}` : `a ${type}`;
}
