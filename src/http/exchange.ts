import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import type { Principal } from '../access/authenticator.ts';
import type { Dispatch, Match } from './dispatch.ts';
import type { Call } from './endpoint.ts';
import type { RequestHead } from './head.ts';
import { readHead } from './head.ts';
import { HeldReply } from './held-reply.ts';
import { Holding, type Memory } from './memory.ts';
import type { Headers, Reply } from './reply.ts';
import { writeHeaders } from './reply.ts';
import { Transfer } from './transfer.ts';

/** How much of a refused body is read and dropped, so that the client sees the answer. */
const DISCARD_LIMIT_BYTES = 1024 * 1024;
const DISCARD_LIMIT_MS = 2_000;

/** What the server provides to exchanges and learns from them. */
export interface ExchangeObserver {
  /** Called once, after the last byte of the reply was handed over or when the client went away (`status` null). */
  ended(exchange: Exchange): void;
  /** Whether replies should ask the client to close the connection. */
  readonly closing: boolean;
}

/** A larger reply counts before it is sent, and is refused if there is no room for it. */
const LARGE_REPLY_BYTES = 64 * 1024;

/**
 * One request's life on a socket: uWebSockets forbids any use of `res` once the client has gone or the reply has been sent, so
 * `res` is used nowhere else.
 */
export class Exchange implements Call {
  readonly head: RequestHead;
  readonly method: string;
  readonly path: string;
  readonly rawQuery: string;
  /** The endpoint that answers. */
  readonly match: Match;
  readonly clientAddress: string;
  /** `performance.now()` when the request's head had been read. */
  readonly startedAt = performance.now();
  /** `performance.now()` when the whole body had arrived: from then on the client waits for the service. */
  receivedAt: number | undefined;
  /** `performance.now()` when it had ended; 0 before. */
  endedAt = 0;
  /** Bytes of the request's body that have arrived, without the framing of chunks. */
  bytesIn = 0;
  /** Bytes of the reply's body that the socket has taken. */
  bytesOut = 0;
  principal: Principal | undefined;
  authMs: number | undefined;
  handledAt: number | undefined;
  replyBy: number | undefined;
  /** The status of the reply; null if the client went away before it had all of it. */
  status: number | null = null;
  /** Milliseconds for which the reply was held back, because there was nothing to say yet. */
  heldMs = 0;
  /** The reason of a 5xx, which the client does not see. */
  cause: unknown;
  /** Added to every reply, errors included. */
  extraHeaders: Headers = [];
  #open = true;
  /** Set while a reply is under way that the socket did not take at once. */
  #transfer: Transfer | undefined;
  /** Set while the reply is held back, and until it has ended. */
  #held: HeldReply | undefined;
  #heldAt = 0;
  #gone: (() => void) | undefined;
  #ended = false;
  #sink: ((chunk: ArrayBuffer, isLast: boolean) => void) | undefined;
  #discardTimer: NodeJS.Timeout | undefined;
  readonly #res: HttpResponse;
  readonly #observer: ExchangeObserver;
  readonly #bodyBytes: Holding;
  readonly #replyBytes: Holding;

  constructor(
    res: HttpResponse,
    req: HttpRequest,
    find: Dispatch['find'],
    observer: ExchangeObserver,
    memory: Memory,
  ) {
    this.head = readHead(req);
    this.method = req.getCaseSensitiveMethod();
    this.path = req.getUrl();
    this.match = find(this.method, this.path);
    // The type does not say that it is undefined if there is no query.
    this.rawQuery = req.getQuery() || '';
    this.clientAddress = Buffer.from(res.getRemoteAddressAsText()).toString('latin1');
    this.#res = res;
    this.#observer = observer;
    this.#bodyBytes = new Holding(memory.bodies);
    this.#replyBytes = new Holding(memory.replies);
    res.onAborted(() => {
      this.#end(null);
    });
  }

  /** False once a reply is on its way or the client has gone. */
  get open(): boolean {
    return this.#open;
  }

  /** The caller's tenant; empty while the caller is not known. */
  get tenant(): string {
    return this.principal?.tenant ?? '';
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
   * @param done gets the body once it is complete. Its bytes belong to uWebSockets and are gone when `done` returns.
   * @param failed is called once if the body exceeds the limit of its route or there is no room for it; nothing of it is kept then.
   */
  readBody(done: (body: Buffer) => void, failed: (why: 'too-large' | 'no-room') => void): void {
    const { bodyLimit } = this.match.endpoint;
    if ((this.head.contentLength ?? 0) > bodyLimit) {
      failed('too-large');
      return;
    }
    let buffer: Buffer | undefined;
    let size = 0;
    this.#receive((chunk, isLast) => {
      const total = size + chunk.byteLength;
      if (isLast && buffer === undefined && total <= bodyLimit) {
        done(Buffer.from(chunk));
        return;
      }
      const room = total <= bodyLimit ? this.#roomFor(buffer, size, total) : 'too-large';
      if (typeof room === 'string') {
        buffer = undefined;
        this.#bodyBytes.release();
        failed(room);
        return;
      }
      buffer = room;
      buffer.set(new Uint8Array(chunk), size);
      size = total;
      if (isLast) done(buffer.subarray(0, size));
    });
  }

  /** One buffer for the whole body: of the declared length if there is one, and otherwise twice what is needed. */
  #roomFor(buffer: Buffer | undefined, used: number, needed: number): Buffer | 'no-room' {
    if (buffer !== undefined && needed <= buffer.length) return buffer;
    const length = Math.max(
      this.head.contentLength ?? Math.min(this.match.endpoint.bodyLimit, needed * 2),
      needed,
    );
    if (!this.#bodyBytes.set(this.tenant, length)) return 'no-room';
    const larger = Buffer.allocUnsafe(length);
    buffer?.copy(larger, 0, 0, used);
    return larger;
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
        else if (dropped > DISCARD_LIMIT_BYTES) this.reply(reply, true);
      });
    }
  }

  /** Hands chunks to `sink` instead of the previous sink: uWebSockets takes no second handler while the first one runs. */
  #receive(sink: (chunk: ArrayBuffer, isLast: boolean) => void): void {
    const registered = this.#sink !== undefined;
    this.#sink = sink;
    if (registered) return;
    this.#res.onData((chunk, isLast) => {
      this.bytesIn += chunk.byteLength;
      if (!this.#open) return;
      if (isLast) this.receivedAt = performance.now();
      if (isLast && this.head.chunked) this.#endChunks();
      else this.#sink?.(chunk, isLast);
    });
  }

  /**
   * The last chunk has no bytes. If something that is no request follows it in the same read (a trailer), the parser ends the
   * connection before the sink learns that the body is complete, and so before anything is stored.
   */
  #endChunks(): void {
    setImmediate(() => {
      if (this.#open) this.#sink?.(new ArrayBuffer(0), true);
    });
  }

  /**
   * Sends the reply; the exchange ends when the socket has taken all of it. Does nothing when a reply is on its way already.
   *
   * @param close whether to close the connection after the reply, whatever the client still sends.
   * @returns false if there is no room for such a large body: nothing was sent, and another reply can be sent.
   */
  reply(reply: Reply, close = false): boolean {
    if (!this.#open) return true;
    if (this.#held?.begun === true) return this.#endHeld(this.#held, reply);
    const { body } = reply;
    const size = body === null || this.method === 'HEAD' ? 0 : Buffer.byteLength(body);
    // The parser checks neither what follows a chunk nor what follows the last one (decision 018).
    const mustClose = close || this.head.chunked;
    const inPieces = size > LARGE_REPLY_BYTES && !mustClose;
    // Bytes are an asset that is in memory anyway, once for everybody.
    if (inPieces && typeof body === 'string' && !this.#replyBytes.set(this.tenant, size)) return false;
    this.#close(reply);
    if (mustClose || (this.#observer.closing && size > 0 && !inPieces)) this.#sendLater(reply, true);
    else if (this.method === 'HEAD') this.#sendLater(reply, false);
    else if (body !== null) this.#send(reply, body, size);
    else this.#sendWithoutBody(reply);
    return true;
  }

  /** No other reply can be sent from now on. */
  #close({ cause }: Reply): void {
    this.#open = false;
    this.cause = cause;
    this.#gone = undefined;
    if (this.#held !== undefined) this.heldMs = performance.now() - this.#heldAt;
    if (this.#held?.begun !== true) this.#held = undefined;
    clearTimeout(this.#discardTimer);
  }

  /** Begins the reply before it is known: `Control.hold`. May be called again, for a longer time. */
  hold(empty: () => string, gone: () => void): void {
    this.#gone = gone;
    if (this.#held !== undefined) return;
    this.#heldAt = performance.now();
    // What was sent has been read, and may have to stay for long otherwise.
    if (this.#sink !== undefined) this.#sink = () => undefined;
    this.#bodyBytes.release();
    const head = (): void => {
      this.writeHead({ status: 200, body: '' });
    };
    this.#held = new HeldReply(this.#res, head, empty, this.receivedAt ?? this.startedAt);
  }

  /** Ends a reply whose head has been sent. */
  #endHeld(held: HeldReply, reply: Reply): boolean {
    const text = reply.status === 200 && typeof reply.body === 'string' ? reply.body : held.empty();
    const body = Buffer.from(text);
    if (body.length > LARGE_REPLY_BYTES && !this.#replyBytes.set(this.tenant, body.length)) return false;
    this.#close(reply);
    held.end(body, () => {
      this.#end(200);
    });
    return true;
  }

  #send(reply: Reply, body: string | Buffer, size: number): void {
    const res = this.#res;
    let done = false as boolean;
    res.cork(() => {
      this.writeHead(reply);
      // uWebSockets closes only after an `end`, which takes the whole body at once: a large one leaves closing to the client.
      if (this.#observer.closing) res.writeHeader('connection', 'close');
      [, done] = res.tryEnd(body, size);
    });
    if (done) {
      this.bytesOut = size;
      this.#end(reply.status);
      return;
    }
    const offset = (this.bytesOut = res.getWriteOffset());
    if (typeof body !== 'string') {
      this.#transferRest(body.subarray(offset), size, reply.status);
      return;
    }
    const rest = bytesFrom(body, size, offset);
    if (this.#replyBytes.set(this.tenant, rest.length)) this.#transferRest(rest, size, reply.status);
    else res.close();
  }

  /** This is a separate function because a closure in `#send` would keep the whole body in memory while the client reads. */
  #transferRest(rest: Buffer, size: number, status: number): void {
    this.#transfer = new Transfer(this.#res, rest, size, () => {
      this.#end(status);
    });
  }

  /**
   * Sends replies that close the connection, and those that the socket must take at once, after the parser has finished with the
   * bytes of the same read. uWebSockets closes a connection on which it finds another request while one waits for its reply. If
   * the reply had been sent, it would serve that request although the reply closes, and a client that pipelines requests and
   * reads nothing would fill the memory with replies.
   */
  #sendLater(reply: Reply, close: boolean): void {
    setImmediate(() => {
      if (this.#ended) return;
      if (!close) {
        this.#sendWithoutBody(reply);
        return;
      }
      this.#res.cork(() => {
        this.writeHead(reply);
        // HEAD gets a length of 0 here, because `endWithoutBody` does not close the connection.
        const body = this.method === 'HEAD' ? '' : (reply.body ?? '');
        this.#res.end(body, true);
        this.bytesOut = Buffer.byteLength(body);
      });
      this.#end(reply.status);
    });
  }

  #sendWithoutBody(reply: Reply): void {
    const res = this.#res;
    res.cork(() => {
      this.writeHead(reply);
      // `endWithoutBody` with arguments, be they undefined, announces a body that never comes: the next request on the
      // connection is then reset (older build). So the length is a header, and the client closes.
      if (reply.body !== null) res.writeHeader('content-length', String(Buffer.byteLength(reply.body)));
      if (this.#observer.closing) res.writeHeader('connection', 'close');
      res.endWithoutBody();
    });
    this.#end(reply.status);
  }

  /** Every reply begins here. */
  protected writeHead(reply: Reply): void {
    this.#res.writeStatus(statusLine(reply.status));
    writeHeaders(this.#res, this, reply, performance.now());
  }

  /** Continues a reply that the client takes slowly, or that is held back. The server calls it at intervals. */
  check(now: number): void {
    this.#transfer?.check(now);
    this.#held?.check(now);
  }

  /** Closes the connection without an answer. */
  drop(): void {
    if (!this.#ended) this.#res.close();
  }

  #end(status: number | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#open = false;
    this.endedAt = performance.now();
    if (this.#transfer !== undefined) this.bytesOut = this.#transfer.taken;
    if (this.#held?.begun === true) this.bytesOut = this.#held.bytesOut;
    this.#transfer = undefined;
    this.#held = undefined;
    this.#gone?.();
    this.#gone = undefined;
    this.status = status;
    clearTimeout(this.#discardTimer);
    this.#bodyBytes.release();
    this.#replyBytes.release();
    this.#observer.ended(this);
  }
}

let scratch = Buffer.alloc(0);

/**
 * The bytes of a text from an offset on. They are encoded in one buffer that is used again: a buffer for each slow reader would
 * stay until the garbage collector runs (0.4 GB more with 300 readers).
 */
function bytesFrom(text: string, size: number, from: number): Buffer {
  if (scratch.length < size) scratch = Buffer.allocUnsafeSlow(size);
  scratch.write(text);
  return Buffer.from(scratch.subarray(from, size));
}

const REASONS: Readonly<Record<string, string>> = {
  200: 'OK',
  201: 'Created',
  204: 'No Content',
  207: 'Multi-Status',
  304: 'Not Modified',
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
