import { createShares, type Shares } from '../store/shares.ts';

/** Bytes that one side of all exchanges may hold in memory. A tenant alone gets half of them (`shares.ts`). */
const BODY_BYTES = 128 * 1024 * 1024;
const REPLY_BYTES = 128 * 1024 * 1024;

/** What exchanges hold in memory, shared by the tenants. Callers that are not known yet count as one tenant. */
export interface Memory {
  /** Bodies of requests that arrive in more than one piece. */
  readonly bodies: Shares;
  /** Bodies of replies: large ones, and small ones that the socket did not take at once. */
  readonly replies: Shares;
}

export function createMemory(): Memory {
  return { bodies: createShares(BODY_BYTES), replies: createShares(REPLY_BYTES) };
}

/** What one exchange holds of a share. It belongs to the tenant that was known when it began. */
export class Holding {
  readonly #shares: Shares;
  #tenant: string | undefined;
  #bytes = 0;

  constructor(shares: Shares) {
    this.#shares = shares;
  }

  /** Changes what it holds to `bytes`. Returns false, and changes nothing, if there is no room. */
  set(tenant: string, bytes: number): boolean {
    this.#tenant ??= tenant;
    if (bytes > this.#bytes) {
      if (!this.#shares.take(this.#tenant, bytes - this.#bytes)) return false;
    } else {
      this.#shares.give(this.#tenant, this.#bytes - bytes);
    }
    this.#bytes = bytes;
    return true;
  }

  release(): void {
    if (this.#tenant !== undefined) this.#shares.give(this.#tenant, this.#bytes);
    this.#tenant = undefined;
    this.#bytes = 0;
  }
}
