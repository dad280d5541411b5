import type { HttpResponse } from 'uWebSockets.js';

/** Load balancers and proxies may cut a connection on which nothing has come for so long; ours do after 7 s. */
const SILENCE_MS = 4_000;
/** So much earlier, at random: those who came together are then served one after the other. */
const SPREAD_MS = 500;

/** What is handed to uWebSockets at a time: it copies what the kernel does not take. */
const PIECE_BYTES = 64 * 1024;
/**
 * The kernel tells of room only when a third of its buffer is free, which takes a slow reader longer than the 10 s after which
 * uWebSockets closes a connection to which nothing is written. So it gets a little more in between.
 */
const OFFER_BYTES = 4 * 1024;
const OFFER_EVERY_MS = 1_000;
/** How long the kernel may have no room. */
const STALL_MS = 60_000;

/**
 * A 200 that begins before its body is known, so that nobody takes the connection for a dead one. Until then blanks come, which JSON
 * allows before a value (RFC 8259, section 2).
 */
export class HeldReply {
  /** The body if there is no better one. */
  readonly empty: () => string;
  /** Whether the status has been sent. */
  begun = false;
  /** Bytes of the body that were handed over. */
  bytesOut = 0;
  readonly #res: HttpResponse;
  readonly #writeHead: () => void;
  readonly #spreadMs = Math.random() * SPREAD_MS;
  /** What is left of the body, once that is known. */
  #rest: Buffer | undefined;
  #done: () => void = () => undefined;
  /** Milliseconds of `performance.now()`. */
  #writtenAt: number;
  #roomAt = 0;

  /**
   * @param writeHead writes status and headers.
   * @param since when the client began to wait.
   */
  constructor(res: HttpResponse, writeHead: () => void, empty: () => string, since: number) {
    this.#res = res;
    this.#writeHead = writeHead;
    this.empty = empty;
    this.#writtenAt = since;
  }

  /** The server calls it at intervals. */
  check(now: number): void {
    const silentMs = now - this.#writtenAt;
    if (this.#rest !== undefined) {
      if (now - this.#roomAt > STALL_MS) this.#res.close();
      else if (silentMs >= OFFER_EVERY_MS) this.#write(OFFER_BYTES);
    } else if (silentMs >= SILENCE_MS - this.#spreadMs) {
      this.#blank(now);
    }
  }

  #blank(now: number): void {
    this.#writtenAt = now;
    this.bytesOut += 1;
    this.#res.cork(() => {
      if (!this.begun) this.#writeHead();
      this.begun = true;
      this.#res.write(' ');
    });
  }

  /** @param done is called when the socket has been given all of it, unless the client goes away before. */
  end(body: Buffer, done: () => void): void {
    this.#rest = body;
    this.#done = done;
    this.#roomAt = performance.now();
    this.#res.onWritable(() => {
      this.#roomAt = performance.now();
      return this.#writeAll();
    });
    this.#writeAll();
  }

  /** Returns whether the socket took everything, as `onWritable` wants to know. */
  #writeAll(): boolean {
    let hasRoom = true;
    while (hasRoom && this.#rest !== undefined) hasRoom = this.#write(PIECE_BYTES);
    return hasRoom;
  }

  /** Returns whether the kernel has room for more. */
  #write(bytes: number): boolean {
    const rest = this.#rest ?? Buffer.alloc(0);
    const piece = rest.subarray(0, bytes);
    const isLast = piece.length === rest.length;
    let hasRoom = true;
    this.#writtenAt = performance.now();
    this.bytesOut += piece.length;
    this.#rest = isLast ? undefined : rest.subarray(bytes);
    this.#res.cork(() => {
      if (isLast) this.#res.end(piece);
      else hasRoom = this.#res.write(piece);
    });
    // From here on `res` must not be used.
    if (isLast) this.#done();
    return hasRoom;
  }
}
