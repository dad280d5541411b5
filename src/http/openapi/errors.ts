import { BATCH_BODY_LIMIT, BODY_LIMIT } from '../body.ts';
import {
  bodyTooLarge,
  eventNotFound,
  invalidField,
  LEASE_LOST,
  LEASE_MALFORMED,
  LEASED,
  RequestError,
  unavailable,
  type ErrorCode,
} from '../request-error.ts';
import type { Contract, Route } from '../route.ts';
import type { Components } from './components.ts';
import { ADMITTED_HEADERS, type SharedHeader } from './headers.ts';
import type { Json } from './json.ts';

/** Of the examples. */
const REQUEST_ID = '0b1d4f0e-9d0a-4c9e-8a58-6a1f6c0e2b77';

/** In words, with an example of what the client reads. */
const KINDS: Readonly<Record<ErrorCode, readonly [description: string, example: RequestError]>> = {
  VALIDATION_ERROR: [
    'Body, query or cursor are wrong, a parameter or header was given twice, or a header can be read in two ways',
    invalidField('event_type', 'must not be empty'),
  ],
  UNAUTHORIZED: [
    'No key, an unknown one, or two different ones',
    new RequestError('UNAUTHORIZED', 'this API key is not known; check it for typing errors'),
  ],
  FORBIDDEN: [
    'The key has been revoked or deactivated',
    new RequestError('FORBIDDEN', 'this API key has been revoked or deactivated; use another one'),
  ],
  NOT_FOUND: ['There is no such event, or it is another tenant’s', eventNotFound()],
  METHOD_NOT_ALLOWED: [
    'The path does not take this method',
    new RequestError('METHOD_NOT_ALLOWED', 'this path takes GET'),
  ],
  CONFLICT: [
    'The event has been acknowledged already',
    new RequestError('CONFLICT', 'this event has been acknowledged already, at 2026-01-01T12:00:01.456789Z'),
  ],
  PAYLOAD_TOO_LARGE: [
    'The body has more than 524,288 bytes, or the payload more than the contract allows',
    bodyTooLarge(BODY_LIMIT),
  ],
  UNSUPPORTED_MEDIA_TYPE: [
    'The content type of the body is not JSON in UTF-8',
    new RequestError(
      'UNSUPPORTED_MEDIA_TYPE',
      'content-type: send application/json (in UTF-8); this body says it is something else',
    ),
  ],
  INVALID_EVENT_ID: [
    'The id in the path is no UUID',
    new RequestError('INVALID_EVENT_ID', 'event_id: must be a UUID, as it came in the reply to POST', {
      details: [{ field: 'event_id', message: 'must be a UUID, as it came in the reply to POST' }],
    }),
  ],
  LEASED: ['Somebody has leased the event', LEASED],
  LEASE_LOST: ['The lease is no longer the caller’s', LEASE_LOST],
  LEASE_MALFORMED: ['No token of a lease of this tenant', LEASE_MALFORMED],
  IDEMPOTENCY_KEY_REUSED: [
    'This idempotency key has come with other content before',
    new RequestError(
      'IDEMPOTENCY_KEY_REUSED',
      'this idempotency key has come with another event before; use a new key for a new event',
    ),
  ],
  RATE_LIMITED: [
    'The key has used up its limit',
    new RequestError('RATE_LIMITED', 'this API key may send 600 requests a minute; try again in 17 s'),
  ],
  INTERNAL_ERROR: [
    'A fault of the service, or a damaged record: quote the request id to the operator',
    new RequestError(
      'INTERNAL_ERROR',
      'something went wrong on our side; quote the request id to the operator',
    ),
  ],
  SERVICE_UNAVAILABLE: [
    'The store does not answer or the service is overloaded; this answer comes within 2 s. After a POST the event may have been stored or not',
    unavailable('the event store cannot be reached at the moment; try again'),
  ],
};

/** What differs where a call is for many items. */
const KINDS_OF_MANY = {
  PAYLOAD_TOO_LARGE: ['The body has more than 4,194,304 bytes', bodyTooLarge(BATCH_BODY_LIMIT)],
  SERVICE_UNAVAILABLE: [
    'The store does not answer or the service is overloaded: nothing was done, for none of the items',
    unavailable('too many requests are under way; try again'),
  ],
} satisfies Partial<typeof KINDS>;

function kindsOf({ controlled, bodyLimit }: Route): typeof KINDS {
  if (controlled !== true) return KINDS;
  const { PAYLOAD_TOO_LARGE } = bodyLimit === undefined ? KINDS : KINDS_OF_MANY;
  return { ...KINDS, ...KINDS_OF_MANY, PAYLOAD_TOO_LARGE };
}

const OWN_HEADERS: Readonly<Partial<Record<ErrorCode, SharedHeader>>> = {
  UNAUTHORIZED: 'WWW-Authenticate',
  RATE_LIMITED: 'Retry-After',
  SERVICE_UNAVAILABLE: 'Retry-After',
};

/** Every error reply of a route, by status. Replies to HEAD have no body. */
export function errorResponses(
  route: Route,
  contract: Contract,
  components: Components,
  isHead: boolean,
): Json {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of errorsOf(route, contract)) {
    const status = contract.statuses[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => {
      const make = () => errorResponse(codes, status, route, contract, components);
      if (isHead) return [status, withoutBody(make())];
      const name =
        contract.about.schemaPrefix +
        codes.map(pascalCase).join('Or') +
        (route.auth ? '' : 'WithoutKey') +
        (codes.some((code) => kindsOf(route)[code] !== KINDS[code]) ? 'OfMany' : '');
      return [status, components.response(name, make)];
    }),
  );
}

/** What can go wrong on a route: on admission, in the checks of its schemas, in its handler. */
function errorsOf(route: Route, contract: Contract): Set<ErrorCode> {
  // A header that is given twice is refused on each route.
  const codes: ErrorCode[] = ['VALIDATION_ERROR'];
  if (route.auth) codes.push('UNAUTHORIZED', 'FORBIDDEN');
  if (route.params) codes.push(contract.invalidParams([{ field: '', message: '' }]).code);
  // Also without a body in the description: clients send one with POST all the same.
  if (route.method === 'POST') codes.push('PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE');
  codes.push(...(route.errors ?? []));
  if (route.auth) codes.push('RATE_LIMITED', 'SERVICE_UNAVAILABLE');
  codes.push('INTERNAL_ERROR');
  return new Set(codes);
}

function errorResponse(
  codes: readonly ErrorCode[],
  status: number,
  route: Route,
  contract: Contract,
  components: Components,
): Json {
  const kinds = kindsOf(route);
  const admitted = route.auth && !codes.includes('UNAUTHORIZED') && !codes.includes('FORBIDDEN');
  const headers: SharedHeader[] = ['X-Request-ID', ...(admitted ? ADMITTED_HEADERS : [])];
  for (const code of codes) {
    const own = OWN_HEADERS[code];
    if (own !== undefined) headers.push(own);
  }
  const examples = codes.map((code) => {
    const body: unknown = JSON.parse(contract.errorBody(kinds[code][1], status, REQUEST_ID));
    return [code, { value: body }] as const;
  });
  return {
    description: codes.map((code) => `\`${code}\`: ${kinds[code][0]}`).join('. '),
    headers: Object.fromEntries(headers.map((name) => [name, components.header(name)])),
    content: {
      'application/json': {
        schema: components.schema(contract.about.errorSchema),
        examples: Object.fromEntries(examples),
      },
    },
  };
}

/** As a reply to HEAD. */
export function withoutBody({ description, headers }: Json): Json {
  return { description, headers };
}

function pascalCase(code: string): string {
  return code
    .toLowerCase()
    .split('_')
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
    .join('');
}
