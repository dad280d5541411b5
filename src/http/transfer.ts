import type { HttpResponse } from 'uWebSockets.js';

/** How long a client may take nothing of a reply before its connection is closed. */
const STALL_MS = 10_000;
/**
 * How often a slow client is offered more. The kernel reports a socket as writable only once a third of its send
 * buffer is free, which takes a reader of 50 KB/s longer than `STALL_MS`; free space can be used before that.
 */
const OFFER_MS = 1_000;

/**
 * The body of a reply that is handed over as the socket takes it. uWebSockets' `end` copies what the kernel does not take into
 * a buffer without a bound, and closes the connection if the kernel does not report the socket as writable for 10 s.
 */
export class Transfer {
  readonly #res: HttpResponse;
  readonly #rest: Buffer;
  /** Bytes of the whole body. */
  readonly #size: number;
  readonly #done: () => void;
  /** Bytes of the whole body that the socket has taken. */
  taken: number;
  #progressAt: number;
  #offeredAt: number;

  /**
   * @param rest what `res.tryEnd` has not taken of the body.
   * @param size bytes of the whole body.
   * @param done called once the socket has taken the rest. It is not called when the client goes away.
   */
  constructor(res: HttpResponse, rest: Buffer, size: number, done: () => void) {
    this.#res = res;
    this.#rest = rest;
    this.#size = size;
    this.#done = done;
    this.taken = size - rest.length;
    this.#progressAt = this.#offeredAt = performance.now();
    res.onWritable(() => this.#offer(performance.now()));
  }

  /** The server calls it at intervals. Closes the connection of a client that takes nothing. */
  check(now: number): void {
    if (now - this.#offeredAt < OFFER_MS) return;
    this.#offer(now);
    if (now - this.#progressAt > STALL_MS) this.#res.close();
  }

  /** @returns whether the socket took everything, as `onWritable` wants to know. */
  #offer(now: number): boolean {
    this.#offeredAt = now;
    const offset = this.#res.getWriteOffset();
    const from = offset - (this.#size - this.#rest.length);
    const [took, done] = this.#res.tryEnd(this.#rest.subarray(from), this.#size);
    if (done) {
      // From here on `res` must not be used.
      this.#progressAt = now;
      this.taken = this.#size;
      this.#done();
      return took;
    }
    this.taken = this.#res.getWriteOffset();
    if (this.taken > offset) this.#progressAt = now;
    return took;
  }
}
