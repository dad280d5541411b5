import type { HttpResponse } from 'uWebSockets.js';
import { STALL_MS } from './transfer.ts';

/** Load balancers and proxies may cut a connection on which nothing has come for so long; ours do after 7 s. */
const SILENCE_MS = 4_000;
const BLANK_EVERY_MS = 5_000;

/** What is handed to uWebSockets at a time: it copies what the kernel does not take. */
const PIECE_BYTES = 64 * 1024;

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
  /** What is left of the body, once that is known. */
  #rest: Buffer | undefined;
  #done: () => void = () => undefined;
  /** Milliseconds of `performance.now()`. */
  #writtenAt = performance.now();

  constructor(res: HttpResponse, writeHead: () => void, empty: () => string) {
    this.#res = res;
    this.#writeHead = writeHead;
    this.empty = empty;
  }

  /** The server calls it at intervals. */
  check(now: number): void {
    const silentMs = now - this.#writtenAt;
    if (this.#rest !== undefined) {
      // No socket is to keep a body for ever, nor blanks without end.
      if (silentMs > STALL_MS) this.#res.close();
    } else if (silentMs >= (this.begun ? BLANK_EVERY_MS : SILENCE_MS)) {
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
    this.#writtenAt = performance.now();
    this.#res.onWritable(() => this.#offer());
    this.#offer();
  }

  /** Returns whether the socket took everything, as `onWritable` wants to know. */
  #offer(): boolean {
    let taken = true;
    this.#res.cork(() => {
      taken = this.#writeRest();
    });
    return taken;
  }

  #writeRest(): boolean {
    while (this.#rest !== undefined && this.#rest.length > PIECE_BYTES) {
      const piece = this.#rest.subarray(0, PIECE_BYTES);
      this.#rest = this.#rest.subarray(PIECE_BYTES);
      this.bytesOut += piece.length;
      this.#writtenAt = performance.now();
      if (!this.#res.write(piece)) return false;
    }
    const last = this.#rest;
    if (last === undefined) return true;
    this.#rest = undefined;
    this.bytesOut += last.length;
    // From here on `res` must not be used.
    this.#res.end(last);
    this.#done();
    return true;
  }
}
