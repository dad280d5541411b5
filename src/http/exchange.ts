import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import type { Principal } from '../access/authenticator.ts';
import { BODY_LIMIT } from './body.ts';
import type { Dispatch, Match } from './dispatch.ts';
import type { Call } from './endpoint.ts';
import type { RequestHead } from './head.ts';
import { readHead } from './head.ts';
import type { Headers, Reply } from './reply.ts';
import { writeHeaders } from './reply.ts';

/** How much of a refused body is read and dropped, so that the client gets to see the answer. */
const DISCARD_LIMIT_BYTES = 1024 * 1024;
const DISCARD_LIMIT_MS = 2_000;

/** What an exchange tells of itself while it lives and when it ends. */
export interface ExchangeObserver {
  /** Called once, after the last byte of the reply was handed over or when the client went away (`status` null). */
  ended(exchange: Exchange): void;
  /** Whether replies should ask the client to close the connection. */
  readonly closing: boolean;
}

/**
 * One request's life on a socket: uWebSockets forbids to touch `res` once the client has gone or the reply is sent, so `res`
 * is touched nowhere else.
 */
export class Exchange implements Call {
  readonly head: RequestHead;
  readonly method: string;
  readonly path: string;
  readonly rawQuery: string;
  /** What answers. */
  readonly match: Match;
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

  constructor(res: HttpResponse, req: HttpRequest, find: Dispatch['find'], observer: ExchangeObserver) {
    this.head = readHead(req);
    this.method = req.getCaseSensitiveMethod();
    this.path = req.getUrl();
    this.match = find(this.method, this.path);
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

  /** The path as in the route table, for logs. */
  get route(): string {
    return this.match.endpoint.path;
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
        if (isLast) this.reply(reply);
        else if (dropped > DISCARD_LIMIT_BYTES) this.replyAndClose(reply);
      });
    }
  }

  /**
   * Sends the reply and closes the connection, once the parser is through with what came in the same read. A request that
   * it finds there while this one waits for its reply ends the connection; behind a reply it would be served, although the
   * reply closes.
   */
  replyAndClose(reply: Reply): void {
    this.#sink = undefined;
    setImmediate(() => {
      this.reply(reply, true);
    });
  }

  /** Hands chunks to `sink`, in place of the sink before: uWebSockets takes no second handler while the first one runs. */
  #receive(sink: (chunk: ArrayBuffer, isLast: boolean) => void): void {
    const registered = this.#sink !== undefined;
    this.#sink = sink;
    if (registered) return;
    this.#res.onData((chunk, isLast) => {
      if (!this.#open) return;
      if (isLast) this.receivedAt = performance.now();
      if (isLast && this.head.chunked) this.#endChunks();
      else this.#sink?.(chunk, isLast);
    });
  }

  /**
   * The last chunk has no bytes. What comes behind it in the same read and is no request, a trailer, ends the connection
   * before the sink learns that the body is complete, and so before anything is stored.
   */
  #endChunks(): void {
    setImmediate(() => {
      if (this.#open) this.#sink?.(new ArrayBuffer(0), true);
    });
  }

  /** Sends the reply and ends the exchange; does nothing when it has ended already. */
  reply(reply: Reply, close = false): void {
    if (!this.#open) return;
    // After chunks: the parser checks neither what stands behind each nor behind all of them (decision 018).
    const mustClose = close || this.head.chunked;
    const closing = mustClose || this.#observer.closing;
    const res = this.#res;
    res.cork(() => {
      res.writeStatus(statusLine(reply.status));
      writeHeaders(res, this, reply);
      if (reply.body !== null && this.method !== 'HEAD') {
        res.end(reply.body, closing);
        return;
      }
      if (mustClose) {
        // With a length of 0, which closes a connection as `endWithoutBody` does not.
        res.end('', true);
        return;
      }
      // `endWithoutBody` with arguments, be they undefined, announces a body that never comes: the next request on the
      // connection is then reset (this build of uWebSockets). So the length is a header, and the client closes.
      if (reply.body !== null) res.writeHeader('content-length', String(Buffer.byteLength(reply.body)));
      if (closing) res.writeHeader('connection', 'close');
      res.endWithoutBody();
    });
    this.cause = reply.cause;
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
