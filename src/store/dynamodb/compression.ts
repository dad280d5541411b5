import { promisify } from 'node:util';
import { brotliCompress, brotliDecompress, constants, deflateRaw, inflateRaw } from 'node:zlib';
import { StoreOverloadedError } from '../store-errors.ts';
import { createShares } from '../shares.ts';
import { createTurns } from './turns.ts';

/** Raw deflate (RFC 1951) and Brotli (RFC 7932). */
export type Encoding = 'deflate' | 'br';

export interface Packed {
  readonly data: Uint8Array;
  readonly encoding: Encoding;
}

/**
 * An item holds 409,600 bytes. A payload of this size leaves room for 8,192 bytes of metadata, source and type of 1,020 bytes
 * each, the rest of the record with the names of attributes (below 500 bytes), and a reserve.
 */
const ROOM_BYTES = 394_000;

/** For shorter payloads, saving one to three write units (1 KB) is not worth a job in the thread pool. */
const WORTHWHILE_BYTES = 4_096;

/** Jobs of each kind at a time: the thread pool's four threads also serve name look-ups and files. */
const JOBS = 2;

/** Bytes of text that may wait for compression; beyond that callers are refused. One tenant alone has half of it. */
const WAITING_BYTES = 64 * 1024 * 1024;

export interface Compression {
  /** Gives the text itself, or its compressed form where that is shorter. Short text comes at once, without a promise. */
  pack(text: string, bytes: number, caller: Caller): string | Promise<string | Packed>;
  /**
   * @param bytes size of the text. Longer text is refused, so that a damaged record cannot fill the memory.
   * @returns rejects when the data is damaged.
   */
  unpack(packed: Packed, bytes: number, tenant: string): Promise<string>;
}

export interface Caller {
  readonly tenant: string;
  /** How long the caller waits, as a time of `performance.now()`. A job that has not begun by then is refused. */
  readonly deadline: number;
}

/** Whether `pack` tries to make text of that size shorter. */
export function isWorthPacking(bytes: number): boolean {
  return bytes > WORTHWHILE_BYTES;
}

export function createCompression(): Compression {
  const packing = createTurns(JOBS);
  const unpacking = createTurns(JOBS);
  const waiting = createShares(WAITING_BYTES);
  return {
    pack(text, bytes, { tenant, deadline }) {
      if (!isWorthPacking(bytes)) return text;
      if (!waiting.take(tenant, bytes)) {
        return Promise.reject(new StoreOverloadedError('too many large payloads are waiting'));
      }
      const job = () => {
        if (performance.now() < deadline) return packNow(text, bytes);
        return Promise.reject(new StoreOverloadedError('a large payload waited too long'));
      };
      return packing.run(tenant, job).finally(() => {
        waiting.give(tenant, bytes);
      });
    },
    unpack: ({ data, encoding }, bytes, tenant) =>
      unpacking.run(tenant, async () => {
        const text = await decoders[encoding](data, { maxOutputLength: Math.max(1, bytes) });
        return text.toString('utf8');
      }),
  };
}

const deflate = promisify(deflateRaw);
const brotli = promisify(brotliCompress);
const decoders = { deflate: promisify(inflateRaw), br: promisify(brotliDecompress) };

async function packNow(text: string, bytes: number): Promise<string | Packed> {
  const data = await deflate(text, { level: constants.Z_BEST_SPEED });
  // Deflate sees bytes, not characters: of 409,600 bytes of hostile text it leaves up to 399,000. Brotli at this quality knows
  // UTF-8 and leaves 353,000, but takes 60 ms.
  if (data.length > ROOM_BYTES) {
    const params = { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_SIZE_HINT]: bytes };
    return { data: await brotli(text, { params }), encoding: 'br' };
  }
  return data.length < bytes ? { data, encoding: 'deflate' } : text;
}
