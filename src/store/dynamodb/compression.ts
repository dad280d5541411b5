import { promisify } from 'node:util';
import { constants, deflateRaw, inflateRaw } from 'node:zlib';
import { StoreOverloadedError } from '../errors.ts';

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

/** Below, a write unit (1 KB) or three saved are not worth a trip through the thread pool. */
const WORTHWHILE_BYTES = 4_096;

/** Jobs at a time, of each kind: the thread pool's four threads also serve name look-ups and files. */
const JOBS = 2;

/** Text that may wait for compression; beyond, the caller is refused. */
const WAITING_BYTES = 32 * 1024 * 1024;

export interface Compression {
  /** The text itself, or, where that is shorter, its raw deflate. At once, without a promise, when the text is short. */
  pack(text: string, bytes: number): string | Promise<string | Uint8Array>;
  /** @param bytes of the text; anything longer is refused, so that a damaged record cannot fill the memory. */
  unpack(packed: Uint8Array, bytes: number): Promise<string>;
}

export function createCompression(): Compression {
  const packing = createLimiter(JOBS);
  const unpacking = createLimiter(JOBS);
  let waitingBytes = 0;
  return {
    pack(text, bytes) {
      if (bytes <= WORTHWHILE_BYTES) return text;
      if (waitingBytes + bytes > WAITING_BYTES) {
        return Promise.reject(new StoreOverloadedError('too many large payloads are waiting'));
      }
      waitingBytes += bytes;
      return packing(() => packNow(text, bytes)).finally(() => (waitingBytes -= bytes));
    },
    unpack: (packed, bytes) =>
      unpacking(async () =>
        (await inflate(packed, { maxOutputLength: Math.max(1, bytes) })).toString('utf8'),
      ),
  };
}

async function packNow(text: string, bytes: number): Promise<string | Uint8Array> {
  const packed = await deflate(text, { level: constants.Z_BEST_SPEED });
  return packed.length < bytes ? packed : text;
}

/** Runs at most `jobs` at a time, in order. */
function createLimiter(jobs: number) {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async <T>(job: () => Promise<T>): Promise<T> => {
    if (running >= jobs) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await job();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
