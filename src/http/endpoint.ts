import type { TObject } from 'typebox';
import type { Authenticator, Principal, Refusal } from '../access/authenticator.ts';
import type { RateLimiter } from '../access/rate-limiter.ts';
import { BODY_LIMIT, decodeUtf8, parseJson, requireJson } from './body.ts';
import { presentedKey, requirePrincipal, requireQuota } from './credentials.ts';
import { UUID } from './fields.ts';
import { invalidField, RequestError } from './request-error.ts';
import type { RequestHead } from './head.ts';
import { parseQuery } from './query.ts';
import type { Headers, Reply } from './reply.ts';
import type { Contract, Control, Route } from './route.ts';
import { compileCheck } from './validate.ts';

/** One request, whatever transport brought it. Members that are not read-only are set while it is served. */
export interface Call {
  /** In upper case. */
  readonly method: string;
  /** As it was sent, percent-encoding included. */
  readonly path: string;
  /** Without the question mark; empty if there is no query. */
  readonly rawQuery: string;
  readonly head: RequestHead;
  /** `performance.now()` when the head had been read. */
  readonly startedAt: number;
  /** The caller; undefined until the key has been accepted, and on routes without authentication. */
  principal: Principal | undefined;
  /** Milliseconds from `startedAt` until the key was accepted; undefined while it is not. */
  authMs: number | undefined;
  /** `performance.now()` when the handler of a route that needs a key was called. */
  handledAt: number | undefined;
  /** Added to every reply, errors included. */
  extraHeaders: Headers;
  /** `performance.now()` by which it is answered; undefined: within `REPLY_DEADLINE_MS`. */
  replyBy: number | undefined;
  /** False once a reply is on its way or the client has gone. */
  readonly open: boolean;
  /** Begins the reply before it is known: `Control.hold`. Absent: the transport cannot. */
  hold?(empty: () => string, gone: () => void): void;
}

/** The steps that requests for one path and method take, in this order. */
export interface Endpoint {
  /** The path as in the route table, for logs; `unknown` for a path that is not there. */
  readonly path: string;
  readonly contract: Contract;
  /** Whether it answers with pages of events, which cost milliseconds and megabytes. */
  readonly paged: boolean;
  /** Bytes that a body may have. */
  readonly bodyLimit: number;
  /**
   * Answers that need no body: 401, 403, 404, 405, 415, 429. Sets `principal` and `extraHeaders`.
   *
   * @returns a promise when the key has to be looked up.
   * @throws a `RequestError`, or what the store of keys throws; the promise rejects with the same.
   */
  admit(call: Call, hasBody: boolean): Promise<void> | undefined;
  /**
   * Reads the request and calls the handler.
   *
   * @param params the segments of the path that are parameters, in order, as they were sent.
   * @param body empty if there is none. It is not read any more once this has returned.
   * @throws any error, and the promise rejects with any error; `errorReply` turns it into a reply.
   */
  respond(call: Call, params: readonly string[], body: Buffer): Reply | Promise<Reply>;
}

export interface Access {
  readonly authenticator: Authenticator;
  readonly rateLimiter: RateLimiter;
}

/** Computes once everything about a route that does not depend on a request. */
export function compileEndpoint(route: Route, contract: Contract, access: Access): Endpoint {
  return {
    path: route.path,
    contract,
    paged: route.paged === true,
    bodyLimit: route.bodyLimit ?? BODY_LIMIT,
    admit: route.auth ? compileAdmit(access) : admitAnybody,
    respond: compileRespond(route, contract, access),
  };
}

/** An endpoint that refuses whatever comes. */
export function refusingEndpoint(path: string, contract: Contract, error: RequestError): Endpoint {
  const refuse = (): never => {
    throw error;
  };
  return { path, contract, paged: false, bodyLimit: BODY_LIMIT, admit: refuse, respond: refuse };
}

function admitAnybody(call: Call, hasBody: boolean): undefined {
  if (hasBody) requireJson(call.head.contentType);
}

function compileAdmit({ authenticator, rateLimiter }: Access): Endpoint['admit'] {
  return (call, hasBody) => {
    const found = authenticator.authenticate(presentedKey(call.head));
    if (found instanceof Promise)
      return found.then((late) => {
        enter(call, hasBody, late);
      });
    enter(call, hasBody, found);
    return undefined;
  };

  function enter(call: Call, hasBody: boolean, found: Principal | Refusal): void {
    call.principal = requirePrincipal(found);
    call.authMs = performance.now() - call.startedAt;
    call.extraHeaders = requireQuota(rateLimiter.admit(call.principal, call.startedAt));
    if (hasBody) requireJson(call.head.contentType);
  }
}

const NOBODY: Principal = { keyId: '', tenant: '', rateLimit: null };

function compileRespond(route: Route, contract: Contract, { rateLimiter }: Access): Endpoint['respond'] {
  const readParams = compileParams(route, contract);
  const readQuery = compileQuery(route.query);
  const checkBody = route.unparsed ? undefined : route.body && compileCheck(route.body, 'body');

  return (call, rawParams, bytes) => {
    const params = readParams(rawParams);
    const query = readQuery(call.rawQuery);
    const json = checkBody && parseJson(bytes);
    const body = checkBody?.(json?.value);
    const bodyText = route.unparsed ? decodeUtf8(bytes) : (json?.text ?? '');
    if (route.auth) call.handledAt = performance.now();
    return route.handle({
      requestId: call.head.requestId,
      head: call.head,
      principal: call.principal ?? NOBODY,
      params,
      query,
      body,
      bodyText,
      control: route.controlled ? createControl(call, rateLimiter) : NO_CONTROL,
    });
  };
}

function createControl(call: Call, rateLimiter: RateLimiter): Control {
  return {
    charge(requests) {
      const { principal = NOBODY } = call;
      const quota = requests > 0 ? rateLimiter.admit(principal, call.startedAt, requests) : null;
      if (quota !== null && requests >= quota.limit) {
        const limit = String(quota.limit);
        throw invalidField(
          'body',
          `has ${String(requests + 1)} items, but this API key may send ${limit} a minute`,
        );
      }
      if (quota === null) return;
      // A refusal brings the headers of the limit itself.
      call.extraHeaders = [];
      call.extraHeaders = requireQuota(quota);
    },
    prolong(ms) {
      if (!call.open) return false;
      call.replyBy = performance.now() + ms;
      return true;
    },
    hold(ms, empty, gone) {
      if (!call.open || call.hold === undefined) return false;
      call.replyBy = performance.now() + ms;
      call.hold(empty, gone);
      return true;
    },
    holds: call.hold !== undefined,
  };
}

const NO_CONTROL: Control = {
  charge: () => undefined,
  prolong: () => true,
  hold: () => false,
  holds: false,
};

/** In their order. */
function paramNames(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
}

function compileParams(route: Route, contract: Contract): (raw: readonly string[]) => unknown {
  if (!route.params) return () => undefined;
  const names = paramNames(route.path);
  const check = compileCheck(route.params, 'path');
  return (raw) => {
    const params: Record<string, string> = {};
    raw.forEach((value, index) => {
      const name = names[index] ?? '';
      params[name] = decodeParam(name, value);
    });
    try {
      return check(params);
    } catch (error) {
      throw error instanceof RequestError && error.details ? contract.invalidParams(error.details) : error;
    }
  };
}

/** UUIDs in paths are case-insensitive; handlers and stores get them in lower case. */
function decodeParam(name: string, raw: string): string {
  const value = raw.includes('%') ? decodePercent(name, raw) : raw;
  return UUID.test(value) ? value.toLowerCase() : value;
}

function decodePercent(name: string, raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch {
    throw invalidField(name, 'is not valid percent-encoded UTF-8');
  }
}

const INTEGER = /^-?\d{1,15}$/;

function compileQuery(schema: TObject | undefined): (raw: string) => unknown {
  // A route without parameters of its own does not look at the query, but still refuses a broken one.
  const check = schema ? compileCheck(schema, 'query') : () => undefined;
  const integers = Object.entries(schema?.properties ?? {})
    .filter(([, property]) => 'type' in property && property.type === 'integer')
    .map(([name]) => name);
  return (raw) => {
    const query: Record<string, string | number> = parseQuery(raw);
    for (const name of integers) {
      const text = query[name];
      if (typeof text === 'string' && INTEGER.test(text)) query[name] = Number(text);
    }
    return check(query);
  };
}
