import type { Access, Call, Endpoint } from './endpoint.ts';
import { compileEndpoint, refusingEndpoint } from './endpoint.ts';
import { bodyTooLarge, RequestError, toRequestError, unavailable, validationError } from './request-error.ts';
import type { RequestHead } from './head.ts';
import type { Reply } from './reply.ts';
import { writeHeaders } from './reply.ts';
import { takesHead, type Contract, type ErrorForm } from './route.ts';
import { within } from './within.ts';

/**
 * The longest time from the last byte of a request to its reply, unless its handler has asked for more; then it gets 503, whatever
 * the store is still doing.
 */
export const REPLY_DEADLINE_MS = 1_800;

/** The compiled contracts. The dispatch knows no sockets; `mount.ts` brings it the requests that arrive on them. */
export interface Dispatch {
  /** Finds what answers this method on this path; unknown ones get an endpoint that answers 404 or 405. */
  readonly find: (method: string, path: string) => Match;
  /**
   * Answers a request whose whole body has arrived, within `REPLY_DEADLINE_MS`. Never rejects.
   *
   * @param body empty if there is none.
   * @returns a reply with all of its headers; to HEAD also the length that the body would have.
   */
  answer(call: SocketlessCall, body: Buffer): Promise<Reply>;
}

/** A call that no transport keeps: the dispatch says itself when it has been answered. */
export type SocketlessCall = Call & { open: boolean };

export interface Match {
  readonly endpoint: Endpoint;
  /** The segments of the path that are parameters, in order. */
  readonly params: readonly string[];
}

/** @param contracts each with a prefix of its own, one of them with an empty one. */
export function createDispatch(contracts: readonly Contract[], access: Access): Dispatch {
  const find = compileTable(contracts, access);

  return {
    find,

    async answer(call: SocketlessCall, body) {
      const match = find(call.method, call.path);
      const reply = await inTime(call, respond(call, body, match), () =>
        lateReply(match.endpoint.contract, call.head.requestId),
      );
      call.open = false;
      const headers: [name: string, value: string][] = [];
      const to = { writeHeader: (name: string, value: string) => headers.push([name, value]) };
      writeHeaders(to, call, reply, performance.now());
      if (call.method !== 'HEAD' || reply.body === null) return { ...reply, headers };
      headers.push(['content-length', String(Buffer.byteLength(reply.body))]);
      return { ...reply, body: null, headers };
    },
  };
}

async function respond(call: Call, body: Buffer, { endpoint, params }: Match): Promise<Reply> {
  try {
    refuseAmbiguous(call.head);
    await endpoint.admit(call, body.length > 0);
    if (body.length > endpoint.bodyLimit) throw bodyTooLarge(endpoint.bodyLimit);
    return await endpoint.respond(call, params, body);
  } catch (error) {
    return errorReply(endpoint.contract, error, call.head.requestId);
  }
}

/** The handler may ask for more time meanwhile. */
function inTime(call: Call, reply: Promise<Reply>, late: () => Reply): Promise<Reply> {
  const waitFor = (ms: number): Promise<Reply> =>
    within(reply, ms, () => {
      const left = (call.replyBy ?? 0) - performance.now();
      return left > 0 ? waitFor(left) : late();
    });
  return waitFor(REPLY_DEADLINE_MS);
}

/** The reply to a request that has waited for `REPLY_DEADLINE_MS`, in the form of a contract. */
export function lateReply(form: ErrorForm, requestId: string): Reply {
  return errorReply(form, unavailable('this takes too long at the moment; try again'), requestId);
}

/** @throws a `RequestError` if it is uncertain where the request ends or who sent it. */
export function refuseAmbiguous({ ambiguous }: RequestHead): void {
  if (ambiguous !== undefined) throw validationError([ambiguous]);
}

/** The reply to anything that was thrown, in the form of a contract. */
export function errorReply(form: ErrorForm, thrown: unknown, requestId: string): Reply {
  const error = toRequestError(thrown);
  const status = form.statuses[error.code];
  return {
    status,
    body: form.errorBody(error, status, requestId),
    headers: error.headers,
    cause: error.cause,
  };
}

/** What is served at one path. */
interface Place {
  /** Undefined where a parameter stands. */
  readonly segments: readonly (string | undefined)[];
  readonly endpoints: Map<string, Endpoint>;
  /** For every other method. */
  readonly refusal: Endpoint;
}

const NO_PARAMS: readonly string[] = [];

/** Paths without a parameter are looked up in a map. The few others are compared segment by segment. */
function compileTable(contracts: readonly Contract[], access: Access): Dispatch['find'] {
  const fixed = new Map<string, Place>();
  const patterns: Place[] = [];
  for (const contract of contracts) {
    for (const path of new Set(contract.routes.map((route) => route.path))) {
      const place = compilePlace(path, contract, access);
      if (place.segments.includes(undefined)) patterns.push(place);
      else fixed.set(path, place);
    }
  }
  const unknownPath = compileUnknown(contracts);

  return (method, path) => {
    const known = fixed.get(path);
    if (known !== undefined) return { endpoint: at(known, method), params: NO_PARAMS };
    const segments = path.split('/');
    for (const place of patterns) {
      if (!fits(place.segments, segments)) continue;
      const params = segments.filter((_, index) => place.segments[index] === undefined);
      return { endpoint: at(place, method), params };
    }
    return { endpoint: unknownPath(path), params: NO_PARAMS };
  };
}

function compilePlace(path: string, contract: Contract, access: Access): Place {
  const endpoints = new Map<string, Endpoint>();
  for (const route of contract.routes) {
    if (route.path !== path) continue;
    const endpoint = compileEndpoint(route, contract, access);
    endpoints.set(route.method, endpoint);
    if (takesHead(route)) endpoints.set('HEAD', endpoint);
  }
  const allow = [...endpoints.keys()].join(', ');
  const error = new RequestError('METHOD_NOT_ALLOWED', `this path takes ${allow}`, {
    headers: [['allow', allow]],
  });
  const segments = path.split('/').map((segment) => (segment.startsWith('{') ? undefined : segment));
  return { segments, endpoints, refusal: refusingEndpoint(path, contract, error) };
}

function at({ endpoints, refusal }: Place, method: string): Endpoint {
  return endpoints.get(method) ?? refusal;
}

function fits(pattern: Place['segments'], segments: readonly string[]): boolean {
  return (
    pattern.length === segments.length &&
    pattern.every(
      (expected, index) => expected === segments[index] || (expected === undefined && segments[index] !== ''),
    )
  );
}

/** Finds the contract that answers 404 for a path. */
function compileUnknown(contracts: readonly Contract[]): (path: string) => Endpoint {
  const error = new RequestError('NOT_FOUND', 'there is nothing at this path');
  const longestFirst = contracts
    .map((contract) => ({ ...contract, refusal: refusingEndpoint('unknown', contract, error) }))
    .sort((a, b) => b.prefix.length - a.prefix.length);
  return (path) => {
    const owner = longestFirst.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`));
    // The path of `OPTIONS *` has none of the prefixes.
    const refusal = (owner ?? longestFirst.at(-1))?.refusal;
    if (refusal === undefined) throw new TypeError('no contract is served');
    return refusal;
  };
}
