import { takesHead, type Contract, type Route } from '../route.ts';
import { createComponents, type Components } from './components.ts';
import type { Json } from './json.ts';
import { describeOperation } from './operation.ts';

const DESCRIPTION = `Producers send JSON events; an event waits in the inbox of its key's tenant until a consumer acknowledges it.
Delivery is at least once. After seven days an event expires. **A 2xx on ingest means that the event is durable.**

Two contracts, \`/v1\` and an unversioned one, work on the same events: pending in one is undelivered in the other,
acknowledged is delivered.

- Send your key as \`X-API-Key: <key>\` or \`Authorization: Bearer <key>\`. A service that runs locally takes
  \`test-api-key-12345\`.
- Every reply has an \`X-Request-ID\`.
- An unknown path is 404. Another method on a known path is 405, with \`Allow\`. A body where none is described is not
  read, but may be refused with 413, 415 or 503.
- What is not HTTP that the parser understands is refused by the parser itself with 400, 431 or 505, and in no form of
  ours.`;

/**
 * The OpenAPI 3.1 document of the contracts: everything in it comes from their route tables and schemas.
 *
 * @param version of the service.
 */
export function openApiDocument(contracts: readonly Contract[], version: string): Json {
  const components = createComponents(contracts);
  const paths = pathsOf(contracts, components);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Triggers API',
      version,
      description: DESCRIPTION,
      contact: { name: 'Triggers API contributors' },
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/', description: 'The service that this document comes from' }],
    tags: contracts.map(({ about: { name, description } }) => ({ name, description })),
    paths,
    components: {
      ...components.collected(),
      securitySchemes: {
        apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'An API key' },
        bearer: { type: 'http', scheme: 'bearer', description: 'An API key, as a bearer token' },
      },
    },
  };
}

function pathsOf(contracts: readonly Contract[], components: Components): Json {
  const paths: Record<string, Record<string, Json>> = {};
  const describe = (route: Route, contract: Contract) => {
    const path = (paths[route.path] ??= {});
    path[route.method.toLowerCase()] = describeOperation(route, contract, components, false);
    if (takesHead(route)) path['head'] = describeOperation(route, contract, components, true);
  };
  for (const contract of contracts) {
    for (const route of contract.routes) if (route.undescribed !== true) describe(route, contract);
  }
  return paths;
}
