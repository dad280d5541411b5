import Type from 'typebox';
import { route, type Contract } from '../route.ts';
import { openApiDocument } from './document.ts';

const PATH = '/openapi.json';

const Document = Type.Object({
  openapi: Type.String(),
  info: Type.Object({}),
  tags: Type.Array(Type.Object({})),
  paths: Type.Object({}),
  components: Type.Object({}),
});

const EXAMPLE = {
  openapi: '3.1.0',
  info: { title: 'Triggers API', version: '0.1.0' },
  tags: [],
  paths: {},
  components: {},
};

const CACHED = { 'Cache-Control': 'max-age=300' };

/**
 * `/openapi.json`: the document of these contracts and of itself, made once.
 *
 * @param errors the contract in whose form it answers what goes wrong.
 */
export function openApiContract(contracts: readonly Contract[], errors: Contract, version: string): Contract {
  const contract: Contract = {
    ...errors,
    prefix: PATH,
    about: { ...errors.about, name: 'documents', description: 'What describes the service.' },
    routes: [
      route({
        method: 'GET',
        path: PATH,
        operationId: 'getOpenApiDocument',
        summary: 'This document',
        description: 'OpenAPI 3.1, made of the route tables and schemas that requests are checked with.',
        auth: false,
        responses: { 200: Document },
        replyHeaders: Type.Object({ 'Cache-Control': Type.Literal(CACHED['Cache-Control']) }),
        example: { reply: EXAMPLE },
        handle: () => reply,
      }),
    ],
  };
  const body = JSON.stringify(openApiDocument([...contracts, contract], version));
  const reply = { status: 200, body, headers: Object.entries(CACHED) };
  return contract;
}
