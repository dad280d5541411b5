import { randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

/**
 * An API key reads `trg_<key_id>_<secret><checksum>`, in base62: a public id of 12 characters, a secret of 22 (131
 * random bits) and, in 6, the CRC-32 of all that stands before. The prefix lets secret scanners find a leaked key;
 * the checksum lets us refuse a mistyped one without a look-up.
 */
export interface KeyParts {
  readonly keyId: string;
  readonly secret: string;
}

const KEY_ID_LENGTH = 12;
const SECRET_LENGTH = 22;
const CHECKSUM_LENGTH = 6;
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const KEY = /^trg_([0-9A-Za-z]{12})_([0-9A-Za-z]{22})[0-9A-Za-z]{6}$/;
const KEY_ID = /^[0-9A-Za-z]{12}$/;

export function generateKey(): KeyParts {
  return { keyId: randomText(KEY_ID_LENGTH), secret: randomText(SECRET_LENGTH) };
}

export function formatKey({ keyId, secret }: KeyParts): string {
  const body = `trg_${keyId}_${secret}`;
  return body + checksum(body);
}

/**
 * Undefined: not a key, or a mistyped one. No single wrong character and no swap of two neighbours gets past the
 * checksum: within the body either is a burst of at most 16 bits, which a CRC-32 always shows; the checksum itself has
 * one spelling only; and the one swap across the border cannot make a valid pair (tried in full by the tests).
 */
export function parseKey(text: string): KeyParts | undefined {
  const [, keyId, secret] = KEY.exec(text) ?? [];
  if (keyId === undefined || secret === undefined) return undefined;
  return text.endsWith(checksum(text.slice(0, -CHECKSUM_LENGTH))) ? { keyId, secret } : undefined;
}

export function isKeyId(text: string): boolean {
  return KEY_ID.test(text);
}

/** 62^6 exceeds 2^32, so six characters hold every CRC. */
function checksum(body: string): string {
  let rest = crc32(body);
  let text = '';
  for (let i = 0; i < CHECKSUM_LENGTH; i++) {
    text = BASE62.charAt(rest % 62) + text;
    rest = Math.floor(rest / 62);
  }
  return text;
}

/** `randomInt` is uniform: no remainder bias, all 62 characters are equally likely. */
function randomText(length: number): string {
  return Array.from({ length }, () => BASE62.charAt(randomInt(BASE62.length))).join('');
}
