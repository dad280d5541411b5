import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import { Exchange } from './exchange.ts';
import type { Headers, Reply } from './reply.ts';

/** The origins whose pages may use the API; `*`: all. Empty: none, and nothing is said of CORS. */
export type Origins = '*' | readonly string[];

/** What a page may send beside what browsers allow in any case. */
const PREFLIGHT: Reply = {
  status: 204,
  body: null,
  headers: [
    ['access-control-allow-methods', 'GET, HEAD, POST, DELETE'],
    [
      'access-control-allow-headers',
      'Authorization, Content-Type, Idempotency-Key, If-None-Match, Traceparent, X-API-Key, X-Request-ID',
    ],
    // Two hours: Chromium keeps it no longer.
    ['access-control-max-age', '7200'],
  ],
};

/** What a script of the page gets to see beside what browsers show in any case. */
const EXPOSED = [
  'access-control-expose-headers',
  'Allow, ETag, Idempotent-Replayed, Location, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, Server-Timing, X-Request-ID',
] as const;

/** Caches must not give the reply to one origin to another, whether this one is allowed or not. */
const VARY = ['vary', 'Origin'] as const;

/**
 * An exchange that speaks the CORS protocol (https://fetch.spec.whatwg.org/#http-cors-protocol). Credentials, which are
 * cookies and the like, are never allowed: a page sends its key in a header of its own. An origin that is not allowed
 * learns nothing, as if there were no CORS.
 */
export class CorsExchange extends Exchange {
  /** Undefined unless a browser asks whether it may send a request, for a page that may. */
  readonly preflight: Reply | undefined;
  readonly #corsHeaders: Headers;

  constructor(
    origins: Origins,
    res: HttpResponse,
    req: HttpRequest,
    ...rest: RestOf<ConstructorParameters<typeof Exchange>>
  ) {
    super(res, req, ...rest);
    const origin = req.getHeader('origin');
    const allowed = origin !== '' && (origins === '*' || origins.includes(origin));
    this.#corsHeaders = [
      ...(origins === '*' ? [] : [VARY]),
      ...(allowed ? allowances(origins === '*' ? '*' : origin) : []),
    ];
    const asks = this.method === 'OPTIONS' && req.getHeader('access-control-request-method') !== '';
    this.preflight = allowed && asks ? PREFLIGHT : undefined;
  }

  protected override writeHead(reply: Reply): void {
    super.writeHead({ ...reply, headers: [...this.#corsHeaders, ...(reply.headers ?? [])] });
  }
}

/** The second lets the page's own measurements show `Server-Timing`: https://www.w3.org/TR/resource-timing/#sec-timing-allow-origin */
function allowances(origin: string): Headers {
  return [['access-control-allow-origin', origin], ['timing-allow-origin', origin], EXPOSED];
}

type RestOf<Parameters> = Parameters extends [HttpResponse, HttpRequest, ...infer Rest] ? Rest : never;
