import type { TObject } from 'typebox';
import type { HttpRequest, HttpResponse, TemplatedApp } from 'uWebSockets.js';
import type { Authenticator, Principal, Refusal } from '../access/authenticator.ts';
import type { RateLimiter } from '../access/rate-limiter.ts';
import { parseJson, requireJson } from './body.ts';
import { presentedKey, requirePrincipal, requireQuota } from './credentials.ts';
import { invalidField, RequestError, toRequestError } from './errors.ts';
import type { ExchangeObserver, Reply } from './exchange.ts';
import { BODY_LIMIT, Exchange } from './exchange.ts';
import { parseQuery } from './query.ts';
import type { Contract, Route } from './route.ts';
import { compileCheck } from './validate.ts';

export interface RouterOptions {
  readonly authenticator: Authenticator;
  readonly rateLimiter: RateLimiter;
  readonly observer: RouterObserver;
  /** The contract that a path belongs to. */
  readonly contractOf: (path: string) => Contract;
}

export interface RouterObserver extends ExchangeObserver {
  started(exchange: Exchange): void;
}

type Handler = (res: HttpResponse, req: HttpRequest) => void;

/**
 * Compiles a route table into uWebSockets handlers: all that can be known of a route is worked out here, once.
 * Unknown paths get 404; known ones with another method get 405 with `Allow`.
 */
export function mount(app: TemplatedApp, routes: readonly Route[], options: RouterOptions): void {
  const allowed = new Map<string, string[]>();
  for (const route of routes) {
    const pattern = route.path.replaceAll(/\{(\w+)\}/g, ':$1');
    const handler = compileRoute(route, options);
    const methods = allowed.get(route.path) ?? [];
    allowed.set(route.path, methods);
    methods.push(route.method);
    if (route.method === 'GET') app.get(pattern, handler);
    else if (route.method === 'POST') app.post(pattern, handler);
    else app.del(pattern, handler);
    if (route.method === 'GET' && !route.auth) {
      methods.push('HEAD');
      app.head(pattern, handler);
    }
  }
  for (const [path, methods] of allowed) {
    app.any(path.replaceAll(/\{(\w+)\}/g, ':$1'), refuseMethod(path, methods.join(', '), options));
  }
  app.any('/*', refusePath(options));
}

/** An error in the form of a contract. */
export function errorReply(contract: Contract, error: RequestError, requestId: string): Reply {
  const status = contract.statuses[error.code];
  return { status, body: contract.errorBody(error, status, requestId), headers: error.headers };
}

function refuseMethod(path: string, allow: string, options: RouterOptions): Handler {
  const contract = options.contractOf(path);
  return (res, req) => {
    const exchange = begin(res, req, path, contract, options);
    const error = new RequestError('METHOD_NOT_ALLOWED', `this path takes ${allow}`, {
      headers: [['allow', allow]],
    });
    fail(exchange, contract, error);
  };
}

function refusePath(options: RouterOptions): Handler {
  return (res, req) => {
    const contract = options.contractOf(req.getUrl());
    const exchange = begin(res, req, 'unknown', contract, options);
    fail(exchange, contract, new RequestError('NOT_FOUND', 'there is nothing at this path'));
  };
}

/** The exchange is closed already if it cannot be told where the request ends. */
function begin(
  res: HttpResponse,
  req: HttpRequest,
  route: string,
  contract: Contract,
  options: RouterOptions,
): Exchange {
  const exchange = new Exchange(res, req, route, options.observer);
  options.observer.started(exchange);
  const { ambiguous } = exchange.head;
  if (ambiguous !== undefined) {
    const error = invalidField(ambiguous, 'is given more than once, or contradicts another header');
    exchange.reply(errorReply(contract, error, exchange.requestId), true);
  }
  return exchange;
}

function fail(exchange: Exchange, contract: Contract, error: unknown): void {
  const requestError = toRequestError(error);
  exchange.cause = requestError.cause;
  exchange.refuse(errorReply(contract, requestError, exchange.requestId));
}

const NOBODY: Principal = { keyId: '', tenant: '', rateLimit: null };
const NO_BYTES = Buffer.alloc(0);

function compileRoute(route: Route, options: RouterOptions): Handler {
  const contract = options.contractOf(route.path);
  const names = paramNames(route);
  const copyParams = (req: HttpRequest): string[] => names.map((_, index) => req.getParameter(index) ?? '');
  const run = compileRun(route, contract);

  return (res, req) => {
    const exchange = begin(res, req, route.path, contract, options);
    if (!exchange.open) return;
    try {
      const params = copyParams(req);
      const found = route.auth ? options.authenticator.authenticate(presentedKey(exchange.head)) : undefined;
      if (found instanceof Promise) {
        void receiveAndWait(exchange, contract, options.rateLimiter, found).then((body) => {
          if (body) run(exchange, params, body);
        });
      } else {
        if (found !== undefined) enter(exchange, options.rateLimiter, found);
        if (exchange.hasBody) requireJson(exchange.head.contentType);
        receive(exchange, contract, (body) => {
          run(exchange, params, body);
        });
      }
    } catch (error) {
      fail(exchange, contract, error);
    }
  };
}

/** Throws the error that the request gets if its key may not be used, or not so often. */
function enter(exchange: Exchange, rateLimiter: RateLimiter, found: Principal | Refusal): void {
  exchange.principal = requirePrincipal(found);
  exchange.extraHeaders = requireQuota(rateLimiter.admit(exchange.principal, exchange.startedAt));
}

function receive(exchange: Exchange, contract: Contract, done: (body: Buffer) => void): void {
  if (!exchange.hasBody) {
    done(NO_BYTES);
    return;
  }
  exchange.readBody(done, () => {
    const message = `the body is larger than ${String(BODY_LIMIT)} bytes`;
    fail(exchange, contract, new RequestError('PAYLOAD_TOO_LARGE', message));
  });
}

/** For a key that has to be looked up: the body streams in meanwhile. Undefined: the exchange is over. */
async function receiveAndWait(
  exchange: Exchange,
  contract: Contract,
  rateLimiter: RateLimiter,
  looked: Promise<Principal | Refusal>,
): Promise<Buffer | undefined> {
  const received = new Promise<Buffer>((resolve) => {
    receive(exchange, contract, (body) => {
      resolve(Buffer.from(body));
    });
  });
  try {
    enter(exchange, rateLimiter, await looked);
    if (exchange.hasBody) requireJson(exchange.head.contentType);
  } catch (error) {
    fail(exchange, contract, error);
    return undefined;
  }
  return received;
}

/** @returns a function that never throws: it answers the exchange, in the end, whatever happens. */
function compileRun(
  route: Route,
  contract: Contract,
): (exchange: Exchange, rawParams: readonly string[], bytes: Buffer) => void {
  const readParams = compileParams(route, contract);
  const readQuery = compileQuery(route.query);
  const checkBody = route.body && compileCheck(route.body, 'body');

  return (exchange, rawParams, bytes) => {
    if (!exchange.open) return;
    try {
      const params = readParams(rawParams);
      const query = readQuery(exchange);
      const json = checkBody && parseJson(bytes);
      const reply = route.handle({
        requestId: exchange.requestId,
        head: exchange.head,
        principal: exchange.principal ?? NOBODY,
        params,
        query,
        body: checkBody?.(json?.value),
        bodyText: json?.text ?? '',
      });
      if (reply instanceof Promise) {
        reply.then(
          (settled) => {
            exchange.reply(settled);
          },
          (error: unknown) => {
            fail(exchange, contract, error);
          },
        );
      } else {
        exchange.reply(reply);
      }
    } catch (error) {
      fail(exchange, contract, error);
    }
  };
}

function paramNames(route: Route): string[] {
  return [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
}

function compileParams(route: Route, contract: Contract): (raw: readonly string[]) => unknown {
  if (!route.params) return () => undefined;
  const names = paramNames(route);
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

function decodeParam(name: string, raw: string): string {
  if (!raw.includes('%')) return raw;
  try {
    return decodeURIComponent(raw);
  } catch {
    throw invalidField(name, 'is not valid percent-encoded UTF-8');
  }
}

const INTEGER = /^-?\d{1,15}$/;

function compileQuery(schema: TObject | undefined): (exchange: Exchange) => unknown {
  // A route without parameters of its own does not look at the query, but still refuses a broken one.
  const check = schema ? compileCheck(schema, 'query') : () => undefined;
  const integers = Object.entries(schema?.properties ?? {})
    .filter(([, property]) => 'type' in property && property.type === 'integer')
    .map(([name]) => name);
  return (exchange) => {
    const query: Record<string, string | number> = parseQuery(exchange.rawQuery);
    for (const name of integers) {
      const text = query[name];
      if (typeof text === 'string' && INTEGER.test(text)) query[name] = Number(text);
    }
    return check(query);
  };
}
