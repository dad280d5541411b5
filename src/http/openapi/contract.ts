import Type from 'typebox';
import { contentReply, keep, makeContent } from '../content.ts';
import type { Headers } from '../reply.ts';
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

const VALIDATED: Headers = [
  ['cache-control', 'no-cache'],
  ['vary', 'accept-encoding'],
];

const RequestHeaders = Type.Object({
  'If-None-Match': Type.Optional(
    Type.String({ description: '`ETag` of the document that the client has: 304 if it is the same' }),
  ),
});

const ReplyHeaders = Type.Object({
  ETag: Type.String({ description: 'Of these contents' }),
  'Cache-Control': Type.String({ description: 'It may be kept, and is to be asked for each time' }),
  Vary: Type.String(),
});

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
        headers: RequestHeaders,
        responses: { 200: Document, 304: null },
        replyHeaders: ReplyHeaders,
        example: { reply: EXAMPLE },
        handle: async ({ head }) => contentReply(await content(), head, VALIDATED),
      }),
    ],
  };
  const text = JSON.stringify(openApiDocument([...contracts, contract], version));
  const content = keep(() => makeContent('application/json; charset=utf-8', Buffer.from(text)));
  return contract;
}
