import Type from 'typebox';
import type { TObject, TSchema } from 'typebox';
import type { Contract, Route } from '../route.ts';
import type { Components } from './components.ts';
import { errorResponses, withoutBody } from './errors.ts';
import { ADMITTED_HEADERS, REQUEST_ID_PARAMETER } from './headers.ts';
import { present, type Json } from './json.ts';
import { linksFrom } from './links.ts';

const JSON_TYPE = 'application/json';

/** Either of the two headers. */
const SECURITY = [{ apiKey: [] }, { bearer: [] }];

/** An operation of the document. @param isHead HEAD, as a route without a key answers it: GET without the body. */
export function describeOperation(
  route: Route,
  contract: Contract,
  components: Components,
  isHead: boolean,
): Json {
  return present({
    operationId: isHead ? `${route.operationId}Head` : route.operationId,
    tags: [contract.about.name],
    summary: isHead ? `${route.summary} (headers only)` : route.summary,
    description: route.description,
    security: route.auth ? SECURITY : [],
    parameters: [
      ...parameters('path', route.params, components),
      ...parameters('query', route.query, components),
      ...parameters('header', route.headers, components),
      REQUEST_ID_PARAMETER,
    ],
    requestBody: route.body && {
      required: true,
      content: {
        [JSON_TYPE]: present({ schema: components.schema(route.body), example: route.example?.body }),
      },
    },
    responses: {
      ...successes(route, contract, components, isHead),
      ...errorResponses(route, contract, components, isHead),
    },
  });
}

function parameters(
  place: 'path' | 'query' | 'header',
  schemas: TObject | undefined,
  components: Components,
) {
  return Object.entries(schemas?.properties ?? {}).map(([name, schema]) => {
    const { description, examples, ...rest } = components.schema(schema);
    return present({
      name,
      in: place,
      required: !Type.IsOptional(schema),
      description,
      schema: rest,
      example: Array.isArray(examples) ? (examples[0] as unknown) : undefined,
    });
  });
}

function successes(route: Route, contract: Contract, components: Components, isHead: boolean): Json {
  const responses = Object.entries(route.responses).map(([status, schema]) => {
    const response = present({
      description: status === '304' ? 'The client has it already' : route.summary,
      headers: successHeaders(route, components),
      content: schema === null ? undefined : content(route, schema, components),
      links: schema === null ? undefined : linksFrom(route, schema, contract),
    });
    return [status, isHead ? withoutBody(response) : response] as const;
  });
  return Object.fromEntries(responses);
}

function content(route: Route, schema: TSchema, components: Components): Json {
  return {
    [route.replyType ?? JSON_TYPE]: present({
      schema: components.schema(schema),
      example: route.example?.reply,
    }),
  };
}

function successHeaders(route: Route, components: Components): Json {
  const shared = ['X-Request-ID', ...(route.auth ? ADMITTED_HEADERS : [])] as const;
  const own = Object.entries(route.replyHeaders?.properties ?? {}).map(([name, schema]) => {
    const { description, ...rest } = components.schema(schema);
    const required = !Type.IsOptional(schema);
    return [name, present({ description, required, schema: rest })] as const;
  });
  return Object.fromEntries([...shared.map((name) => [name, components.header(name)] as const), ...own]);
}
