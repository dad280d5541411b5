import { randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

/**
 * An API key has the form `trg_<key_id>_<secret><checksum>`, in base62: a public id of 12 characters, a secret of 22 (131 random
 * bits), and the CRC-32 of all that stands before in 6. The prefix lets secret scanners find a leaked key, and the checksum
 * lets the service refuse a mistyped one without a look-up.
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
 * Undefined: the text is not a key, or a mistyped one. The checksum finds every single wrong character and every swap of two
 * neighbours: within the body either is a burst of at most 16 bits, which a CRC-32 always detects; the checksum itself has only
 * one spelling; and the one swap across the border cannot make a valid pair (the tests try all of them).
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
