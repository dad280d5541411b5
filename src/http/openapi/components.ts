import type { TSchema } from 'typebox';
import { DISTINCT } from '../fields.ts';
import type { Contract } from '../route.ts';
import { SHARED_HEADERS, type SharedHeader } from './headers.ts';
import type { Json } from './json.ts';

/** What the document says once and refers to. Everything gets in by being used. */
export interface Components {
  /** JSON Schema of a TypeBox schema; of one that its contract has named, a reference. */
  schema(schema: TSchema): Json;
  header(name: SharedHeader): Json;
  /** @param make is called for the first use of the name. */
  response(name: string, make: () => Json): Json;
  /** The `components` of the document, sorted by name. */
  readonly collected: () => Json;
}

export function createComponents(contracts: readonly Contract[]): Components {
  const names = namesOf(contracts);
  const schemas = new Map<string, Json>();
  const headers = new Map<string, Json>();
  const responses = new Map<string, Json>();

  function schema(schema: TSchema): Json {
    const name = 'properties' in schema ? names.get(schema.properties) : undefined;
    if (name === undefined) return translate(schema) as Json;
    once(schemas, name, () => translate(schema) as Json);
    return { $ref: `#/components/schemas/${name}` };
  }

  /** TypeBox keeps what JSON Schema does not have in properties that are not enumerable. */
  function translate(part: unknown): unknown {
    if (Array.isArray(part)) return part.map(visit);
    if (typeof part !== 'object' || part === null) return part;
    const entries = Object.entries(part).filter(([key, value]) => key !== 'properties' || !isEmpty(value));
    return Object.fromEntries(
      entries.map(([key, value]) => [key === DISTINCT ? 'uniqueItems' : key, visit(value)]),
    );
  }

  function visit(part: unknown): unknown {
    const isObjectSchema = typeof part === 'object' && part !== null && 'properties' in part;
    return isObjectSchema ? schema(part) : translate(part);
  }

  return {
    schema,
    header(name) {
      once(headers, name, () => {
        const { schema, ...rest } = SHARED_HEADERS[name];
        return { ...rest, schema: translate(schema) };
      });
      return { $ref: `#/components/headers/${name}` };
    },
    response(name, make) {
      once(responses, name, make);
      return { $ref: `#/components/responses/${name}` };
    },
    collected: () => ({ schemas: sorted(schemas), responses: sorted(responses), headers: sorted(headers) }),
  };
}

/**
 * By what their objects consist of: a schema that is optional somewhere is a copy, and has that in common with the first.
 */
function namesOf(contracts: readonly Contract[]): Map<unknown, string> {
  return new Map(
    contracts.flatMap(({ about }) =>
      Object.entries(about.schemas).flatMap(([name, schema]): [unknown, string][] =>
        'properties' in schema ? [[schema.properties, about.schemaPrefix + name]] : [],
      ),
    ),
  );
}

function once(known: Map<string, Json>, name: string, make: () => Json): void {
  if (known.has(name)) return;
  // Its place is taken while it is made.
  known.set(name, {});
  known.set(name, make());
}

function sorted(known: ReadonlyMap<string, Json>): Json {
  return Object.fromEntries([...known].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
