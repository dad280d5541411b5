import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { UUID } from '../../src/http/fields.ts';
import type { Answer, TestApp } from './app.ts';
import { startTestApp } from './app.ts';
import type { Start } from './harness.ts';

/** What is read of the document. */
export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly responses: Readonly<Record<string, Response>> };
}

interface Operation {
  readonly responses: Readonly<Record<string, Response>>;
}

interface Response {
  readonly $ref?: string;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly content?: Readonly<Record<string, unknown>>;
}

interface Header {
  readonly required: boolean;
}

/** Of HTTP itself, or said by the document in its own way. */
const FRAMING = new Set([
  'allow',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'date',
  'keep-alive',
  'transfer-encoding',
  'uwebsockets',
]);

/** As `startTestApp`. Every answer to `request` is compared with what the service says of itself in `/openapi.json`. */
export const startDescribedApp: Start = async (t, env, time) => {
  const app = await startTestApp(t, env, time);
  const problemsOf = await describedBy(app);
  const request: TestApp['request'] = async (method, path, ...rest) => {
    const answer = await app.request(method, path, ...rest);
    t.same(problemsOf(method, path, answer), [], `${method} ${path.slice(0, 60)} is answered as described`);
    return answer;
  };
  return { ...app, request };
};

/** @returns what of an answer is not as it is described. */
async function describedBy(app: TestApp) {
  const document = (await app.request('GET', '/openapi.json')).json as unknown as Document;
  const schemaAt = createSchemas(document);
  // A path without a parameter comes before one that it would fit.
  const paths = Object.keys(document.paths).sort((a, b) => Number(a.includes('{')) - Number(b.includes('{')));
  const templates = paths.map(
    (template) => [new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`), template] as const,
  );

  return (method: string, target: string, answer: Answer): string[] => {
    const path = target.split('?')[0] ?? '';
    const template = templates.find(([pattern]) => pattern.test(path))?.[1];
    if (template === undefined) return answer.status === 404 ? [] : ['the path is not described'];
    const operation = document.paths[template]?.[method.toLowerCase()];
    if (operation === undefined) return answer.status === 405 ? [] : ['the method is not described'];
    const given = operation.responses[answer.status];
    if (given === undefined) return [`${String(answer.status)} is not described`];
    const pointer =
      given.$ref ??
      `#${pointerTo('paths', template, method.toLowerCase(), 'responses', String(answer.status))}`;
    const response = given.$ref === undefined ? given : document.components.responses[lastOf(given.$ref)];
    return [
      ...headerProblems(answer, response?.headers ?? {}, pointer, schemaAt),
      ...bodyProblems(answer, response?.content ?? {}, pointer, schemaAt),
    ];
  };
}

type SchemaAt = (pointer: string) => ValidateFunction;

function createSchemas(document: Document): SchemaAt {
  const ajv = new Ajv2020({
    strict: false,
    // A header's value is text.
    coerceTypes: true,
    formats: { uuid: UUID, 'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/ },
  });
  ajv.addSchema(document, 'document');
  const compiled = new Map<string, ValidateFunction>();
  return (pointer) => {
    const known = compiled.get(pointer) ?? ajv.compile({ $ref: `document${pointer}` });
    compiled.set(pointer, known);
    return known;
  };
}

function headerProblems(
  { headers }: Answer,
  described: Readonly<Record<string, unknown>>,
  pointer: string,
  schemaAt: SchemaAt,
): string[] {
  const names = new Set(Object.keys(described).map((name) => name.toLowerCase()));
  const problems = [...headers.keys()]
    .filter((name) => !names.has(name) && !FRAMING.has(name))
    .map((name) => `the header ${name} is not described`);
  for (const [name, header] of Object.entries(described)) {
    const at = refOf(header) ?? `${pointer}${pointerTo('headers', name)}`;
    const value = headers.get(name);
    if (value !== null) problems.push(...errorsOf(schemaAt(`${at}/schema`), value, name));
    else if ((header as Header).required) problems.push(`the header ${name} is missing`);
  }
  return problems;
}

function bodyProblems(
  { text, json, headers }: Answer,
  described: Readonly<Record<string, unknown>>,
  pointer: string,
  schemaAt: SchemaAt,
): string[] {
  const [type] = Object.keys(described);
  if (type === undefined) return text === '' ? [] : ['a body is not described'];
  if (headers.get('content-type')?.split(';')[0] !== type) return [`the content type is not ${type}`];
  return errorsOf(schemaAt(`${pointer}${pointerTo('content', type, 'schema')}`), json, 'body');
}

function errorsOf(validate: ValidateFunction, value: unknown, whole: string): string[] {
  if (validate(value)) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message }) => `${whole}${instancePath}: ${message ?? ''}`,
  );
}

/** RFC 6901, section 6: in a URI. */
function pointerTo(...tokens: readonly string[]): string {
  const escaped = tokens.map((token) => token.replaceAll('~', '~0').replaceAll('/', '~1'));
  return escaped.map((token) => `/${encodeURIComponent(token)}`).join('');
}

function refOf(part: unknown): string | undefined {
  return (part as { $ref?: string }).$ref;
}

function lastOf(pointer: string): string {
  return pointer.slice(pointer.lastIndexOf('/') + 1);
}
