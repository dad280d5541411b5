/**
 * Ids that encode where their event is, so that they need no entry in an index. Index entries are in random order and took half
 * of the time of a write: docs/decisions/006-ids-that-tell-the-place.md.
 *
 *     random (32 bits) | tag (16) | version and random (4 + 12) | variant and random (2 + 6) | sequence (56)
 *
 * An id is a UUID in v4 form (RFC 9562, section 5.4) with 50 random bits. The tag, which depends on the tenant, and the sequence
 * are masked with a hash of the random bits. That hides nothing from a reader of this code, and nothing depends on it.
 */
import { randomFillSync } from 'node:crypto';
import type { Sequence } from './sequence.ts';

export function newEventId(tenant: string, sequence: Sequence): string {
  if (used === POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  const id = pool.subarray(used, (used += ID_BYTES));
  id.writeUInt8(((id[6] ?? 0) & 0x0f) | 0x40, 6);
  id.writeUInt8(((id[8] ?? 0) & 0x3f) | 0x80, 8);
  const masks = masksOf(id);
  id.writeUInt16BE(tagOf(tenant) ^ masks.tag, 4);
  id.writeUIntBE(Math.floor(sequence / 2 ** 32) ^ masks.high, 9, 3);
  id.writeUInt32BE((sequence ^ masks.low) >>> 0, 12);
  return formatId(id, 0);
}

/**
 * Where the event of an id is, if `newEventId` has made the id for this tenant. One in 65,536 other ids looks like such an id, so
 * the id of the record at that place must be compared.
 */
export function locate(id: Buffer, tenant: string): Sequence | undefined {
  const masks = masksOf(id);
  if ((id.readUInt16BE(4) ^ masks.tag) !== tagOf(tenant)) return undefined;
  return placeIn(id, masks);
}

/** As `locate`, for an id whose tenant is not known: a place in any case, which the id of the record there must confirm. */
export function locateForAnyTenant(id: Buffer): Sequence {
  return placeIn(id, masksOf(id));
}

function placeIn(id: Buffer, masks: { low: number; high: number }): Sequence {
  const high = (id.readUIntBE(9, 3) ^ masks.high) >>> 0;
  const low = (id.readUInt32BE(12) ^ masks.low) >>> 0;
  return high * 2 ** 32 + low;
}

/** The 16 bytes of a UUID in lower case; undefined for any other text. */
export function idKey(id: string): Buffer | undefined {
  if (id.length !== UUID_LENGTH) return undefined;
  const key = Buffer.allocUnsafe(ID_BYTES);
  let at = 0;
  for (let i = 0; i < UUID_LENGTH; i += 2) {
    if ((at === 4 || at === 6 || at === 8 || at === 10) && id.charCodeAt(i++) !== DASH) return undefined;
    const byte = (hexDigit(id.charCodeAt(i)) << 4) | hexDigit(id.charCodeAt(i + 1));
    if (byte < 0) return undefined;
    key[at++] = byte;
  }
  return key;
}

/** -1 for a character that is not a hex digit in lower case. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  return code >= 0x61 && code <= 0x66 ? code - 0x61 + 10 : -1;
}

/** The UUID whose bytes begin at `at`. */
export function formatId(value: Buffer, at: number): string {
  const hex = value.toString('hex', at, at + ID_BYTES);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Bytes of a UUID. */
export const ID_BYTES = 16;
const UUID_LENGTH = 36;
const DASH = 0x2d;

const POOL_BYTES = 256 * ID_BYTES;
const pool = Buffer.alloc(POOL_BYTES);
let used = POOL_BYTES;

/** Masks made from the random bits, and from those that are always the same. */
function masksOf(id: Buffer): { low: number; high: number; tag: number } {
  const first = mix(id.readUInt32BE(0));
  const second = mix(first ^ id.readUIntBE(6, 3));
  const third = mix(second ^ first ^ GOLDEN_RATIO);
  return { low: second, high: third & 0xffffff, tag: (third >>> 24) | ((first & 0xff) << 8) };
}

const GOLDEN_RATIO = 0x9e3779b9;

/** The finalizer of MurmurHash3 (Austin Appleby): every bit of the input changes each of the output with probability 1/2. */
function mix(bits: number): number {
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** 16 bits of FNV-1a, folded. */
function tagOf(tenant: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < tenant.length; i++) hash = Math.imul(hash ^ tenant.charCodeAt(i), 0x01000193);
  return ((hash >>> 16) ^ hash) & 0xffff;
}
