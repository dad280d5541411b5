import { randomUUID } from 'node:crypto';
import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import type { Principal } from '../access/authenticator.ts';
import type { Headers } from './errors.ts';

/** Largest request body, in bytes. */
export const BODY_LIMIT = 512 * 1024;
/** How much of a refused body is read and dropped, so that the client gets to see the answer. */
const DISCARD_LIMIT_BYTES = 1024 * 1024;
const DISCARD_LIMIT_MS = 2_000;

const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** What a handler answers with: `body` is JSON text, null for none. */
export interface Reply {
  readonly status: number;
  readonly body: string | null;
  readonly headers?: Headers;
}

/** The headers that decide something, copied while `req` is alive. */
export interface RequestHead {
  readonly requestId: string;
  /** Undefined: no `content-length` header. */
  readonly contentLength: number | undefined;
  readonly chunked: boolean;
  readonly contentType: string | undefined;
  readonly authorization: string | undefined;
  readonly apiKey: string | undefined;
  readonly idempotencyKey: string | undefined;
  /**
   * A header that must stand alone stands twice, or the length of the body is given in two ways. The parser takes the
   * first, a proxy before us may take the last, and between the two a request can be smuggled: RFC 9112, section 6.3.
   */
  readonly ambiguous: string | undefined;
}

export function readHead(req: HttpRequest): RequestHead {
  let requestId: string | undefined;
  let contentType: string | undefined;
  let length: string | undefined;
  let transferEncoding: string | undefined;
  let authorization: string | undefined;
  let apiKey: string | undefined;
  let idempotencyKey: string | undefined;
  let ambiguous: string | undefined;
  req.forEach((name, value) => {
    switch (name) {
      case 'x-request-id':
        requestId = value;
        break;
      case 'content-type':
        contentType = value;
        break;
      case 'content-length':
        if (length !== undefined) ambiguous = name;
        length = value;
        break;
      case 'transfer-encoding':
        if (transferEncoding !== undefined) ambiguous = name;
        transferEncoding = value;
        break;
      case 'authorization':
        if (authorization !== undefined) ambiguous = name;
        authorization = value;
        break;
      case 'x-api-key':
        if (apiKey !== undefined) ambiguous = name;
        apiKey = value;
        break;
      case 'idempotency-key':
        if (idempotencyKey !== undefined) ambiguous = name;
        idempotencyKey = value;
    }
  });
  const chunked = transferEncoding !== undefined;
  if (chunked && length !== undefined) ambiguous ??= 'content-length';
  return {
    requestId: requestId !== undefined && REQUEST_ID.test(requestId) ? requestId : randomUUID(),
    contentLength: length === undefined ? undefined : Number(length),
    chunked,
    contentType,
    authorization,
    apiKey,
    idempotencyKey,
    ambiguous,
  };
}

/** What an exchange tells of itself while it lives and when it ends. */
export interface ExchangeObserver {
  /** Called once, after the last byte of the reply was handed over or when the client went away (`status` null). */
  ended(exchange: Exchange): void;
  /** Whether replies should ask the client to close the connection. */
  readonly closing: boolean;
}

/**
 * One request's life: uWebSockets forbids to touch `res` once the client has gone or the reply is sent, so `res` is
 * touched nowhere else.
 */
export class Exchange {
  readonly head: RequestHead;
  readonly method: string;
  /** The route's path as in the route table, for logs. */
  readonly route: string;
  readonly rawQuery: string;
  readonly clientAddress: string;
  /** `performance.now()` when the request's head had been read. */
  readonly startedAt = performance.now();
  /** `performance.now()` when the whole body was there: from then on we keep the client waiting. */
  receivedAt: number | undefined;
  principal: Principal | undefined;
  /** Of the reply; null when the client went away without one. */
  status: number | null = null;
  /** What a 5xx hides from the client. */
  cause: unknown;
  /** Added to the reply whatever it is. */
  extraHeaders: Headers = [];
  #open = true;
  #sink: ((chunk: ArrayBuffer, isLast: boolean) => void) | undefined;
  #discardTimer: NodeJS.Timeout | undefined;
  readonly #res: HttpResponse;
  readonly #observer: ExchangeObserver;

  constructor(res: HttpResponse, req: HttpRequest, route: string, observer: ExchangeObserver) {
    this.head = readHead(req);
    this.method = req.getCaseSensitiveMethod();
    this.route = route;
    // Undefined where there is no query, whatever its type says.
    this.rawQuery = req.getQuery() || '';
    this.clientAddress = Buffer.from(res.getRemoteAddressAsText()).toString('latin1');
    this.#res = res;
    this.#observer = observer;
    res.onAborted(() => {
      this.#end(null);
    });
  }

  /** False once a reply is on its way or the client has gone. */
  get open(): boolean {
    return this.#open;
  }

  get requestId(): string {
    return this.head.requestId;
  }

  /** A request without a body has neither a length nor chunks. */
  get hasBody(): boolean {
    return this.head.chunked || (this.head.contentLength ?? 0) > 0;
  }

  /**
   * Reads the body. Must be called before anything asynchronous happens.
   *
   * @param done gets the body once it is complete. Its bytes are uWebSockets' own and gone when `done` returns.
   * @param tooLarge is called once when the body passes `BODY_LIMIT`, of which nothing is kept then.
   */
  readBody(done: (body: Buffer) => void, tooLarge: () => void): void {
    if ((this.head.contentLength ?? 0) > BODY_LIMIT) {
      tooLarge();
      return;
    }
    let buffer: Buffer | undefined;
    let size = 0;
    this.#receive((chunk, isLast) => {
      const total = size + chunk.byteLength;
      if (total > BODY_LIMIT) {
        buffer = undefined;
        tooLarge();
      } else if (isLast && buffer === undefined) {
        done(Buffer.from(chunk));
      } else {
        buffer = withRoom(buffer, size, total, this.head.contentLength);
        buffer.set(new Uint8Array(chunk), size);
        size = total;
        if (isLast) done(buffer.subarray(0, size));
      }
    });
  }

  /**
   * Answers before the body has been read. A client that is still sending when its connection closes sees a broken
   * pipe instead of the answer, so what it sends is dropped first, up to a limit of size and time.
   */
  refuse(reply: Reply): void {
    if (!this.hasBody || this.receivedAt !== undefined) {
      this.reply(reply);
    } else {
      let dropped = 0;
      this.#discardTimer = setTimeout(() => {
        this.reply(reply, true);
      }, DISCARD_LIMIT_MS);
      this.#receive((chunk, isLast) => {
        dropped += chunk.byteLength;
        if (isLast || dropped > DISCARD_LIMIT_BYTES) this.reply(reply, !isLast);
      });
    }
  }

  /** Hands chunks to `sink`, in place of the sink before: uWebSockets takes no second handler while the first one runs. */
  #receive(sink: (chunk: ArrayBuffer, isLast: boolean) => void): void {
    const registered = this.#sink !== undefined;
    this.#sink = sink;
    if (registered) return;
    this.#res.onData((chunk, isLast) => {
      if (!this.#open) return;
      if (isLast) this.receivedAt = performance.now();
      this.#sink?.(chunk, isLast);
    });
  }

  /** Sends the reply and ends the exchange; does nothing when it has ended already. */
  reply(reply: Reply, close = false): void {
    if (!this.#open) return;
    const closing = close || this.#observer.closing;
    const res = this.#res;
    res.cork(() => {
      res.writeStatus(statusLine(reply.status));
      res.writeHeader('x-request-id', this.requestId);
      for (const [name, value] of this.extraHeaders) res.writeHeader(name, value);
      if (reply.headers) for (const [name, value] of reply.headers) res.writeHeader(name, value);
      if (reply.body !== null) res.writeHeader('content-type', 'application/json; charset=utf-8');
      if (reply.body !== null && this.method !== 'HEAD') {
        res.end(reply.body, closing);
        return;
      }
      // `endWithoutBody` with arguments, be they undefined, announces a body that never comes: the next request on the
      // connection is then reset (this build of uWebSockets). So the length is a header, and the client closes.
      if (reply.body !== null) res.writeHeader('content-length', String(Buffer.byteLength(reply.body)));
      if (closing) res.writeHeader('connection', 'close');
      res.endWithoutBody();
    });
    this.#end(reply.status);
  }

  /** Closes the connection without an answer. */
  drop(): void {
    if (this.#open) this.#res.close();
  }

  #end(status: number | null): void {
    if (!this.#open) return;
    this.#open = false;
    this.status = status;
    clearTimeout(this.#discardTimer);
    this.#observer.ended(this);
  }
}

/** One buffer for the whole body: of the declared length where there is one, doubling where there is none. */
function withRoom(
  buffer: Buffer | undefined,
  used: number,
  needed: number,
  declared: number | undefined,
): Buffer {
  if (buffer !== undefined && needed <= buffer.length) return buffer;
  const larger = Buffer.allocUnsafe(Math.max(declared ?? Math.min(BODY_LIMIT, needed * 2), needed));
  buffer?.copy(larger, 0, 0, used);
  return larger;
}

const REASONS: Readonly<Record<string, string>> = {
  200: 'OK',
  201: 'Created',
  204: 'No Content',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

const STATUS_LINES = new Map(
  Object.entries(REASONS).map(([status, reason]) => [Number(status), `${status} ${reason}`]),
);

function statusLine(status: number): string {
  return STATUS_LINES.get(status) ?? `${String(status)} Unknown`;
}
