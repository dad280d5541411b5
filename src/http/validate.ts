import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import type { TLocalizedValidationError } from 'typebox/error';
import { Settings } from 'typebox/system';
import type { FieldError } from './request-error.ts';
import { validationError } from './request-error.ts';

// A reply lists every error of an honest mistake; a body made of 100,000 unknown fields does not get as many back.
Settings.Set({ maxErrors: 200 });

/**
 * Compiles a schema once. The function it returns gives back a valid value with the schema's type and throws a
 * `VALIDATION_ERROR` that names every wrong field otherwise. Only a failure pays for finding out what is wrong.
 *
 * @param whole what errors of the value itself are called: `body` or `query`.
 */
export function compileCheck<Schema extends TSchema>(
  schema: Schema,
  whole: string,
): (value: unknown) => Static<Schema> {
  const validator = Compile(schema);
  return (value) => {
    if (!validator.Check(value)) throw validationError(describe(validator.Errors(value), whole));
    return value;
  };
}

function describe(errors: readonly TLocalizedValidationError[], whole: string): FieldError[] {
  return errors.flatMap((error) => {
    const path = error.instancePath.split('/').slice(1).map(unescapePointer);
    const field = (...more: string[]) => [...path, ...more].join('.') || whole;
    switch (error.keyword) {
      case 'required':
        return error.params.requiredProperties.map((name) => ({
          field: field(name),
          message: 'is required',
        }));
      case 'additionalProperties':
        return error.params.additionalProperties.map((name) => ({
          field: field(name),
          message: whole === 'query' ? 'is not a known parameter' : 'is not a known field',
        }));
      case 'boolean':
        // TypeBox reports an unknown field a second time, as a value that the schema `false` refuses.
        return [];
      default:
        return [{ field: field(), message: describeValue(error) }];
    }
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
