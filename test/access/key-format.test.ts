import fc from 'fast-check';
import t from 'tap';
import { crc32 } from 'node:zlib';
import { formatKey, generateKey, isKeyId, parseKey } from '../../src/access/key-format.ts';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const chars = (text: string) => Array.from(text);
const base62 = (length: number) =>
  fc.string({ unit: fc.constantFrom(...chars(BASE62)), minLength: length, maxLength: length });
const keys = fc.record({ keyId: base62(12), secret: base62(22) });

void t.test('a key reads back as the parts it was made of', (t) => {
  fc.assert(
    fc.property(keys, (parts) => {
      const read = parseKey(formatKey(parts));
      return read?.keyId === parts.keyId && read.secret === parts.secret;
    }),
  );
  t.end();
});

void t.test('a generated key has the documented form and at least 128 random bits', (t) => {
  const made = Array.from({ length: 500 }, generateKey);
  for (const parts of made) {
    t.match(formatKey(parts), /^trg_[0-9A-Za-z]{12}_[0-9A-Za-z]{28}$/);
    t.ok(isKeyId(parts.keyId));
  }
  t.ok(22 * Math.log2(62) >= 128);
  t.equal(new Set(made.map((parts) => parts.keyId)).size, made.length, 'ids differ');
  t.equal(new Set(made.map((parts) => parts.secret)).size, made.length, 'secrets differ');
  const seen = new Set(made.flatMap((parts) => chars(parts.secret)));
  t.equal(seen.size, 62, 'every character of base62 occurs');
  t.end();
});

void t.test('the last six characters are the CRC-32 of all before, in base62', (t) => {
  const body = 'trg_abcdefghijkl_0123456789ABCDEFGHIJKL';
  const key = formatKey({ keyId: 'abcdefghijkl', secret: '0123456789ABCDEFGHIJKL' });
  t.equal(key.slice(0, -6), body);
  const value = chars(key.slice(-6)).reduce((sum, char) => sum * 62 + BASE62.indexOf(char), 0);
  t.equal(value, crc32(body));
  t.end();
});

void t.test('every single wrong character is refused', (t) => {
  fc.assert(
    fc.property(keys, (parts) => {
      const key = formatKey(parts);
      return chars(key).every((right, at) =>
        chars(`${BASE62}_- `).every(
          (char) => char === right || !parseKey(key.slice(0, at) + char + key.slice(at + 1)),
        ),
      );
    }),
    { numRuns: 50 },
  );
  t.end();
});

void t.test('every swap of two different neighbours is refused', (t) => {
  fc.assert(
    fc.property(keys, (parts) => {
      const key = formatKey(parts);
      return chars(key.slice(1)).every((right, at) => {
        const left = key.charAt(at);
        return left === right || !parseKey(key.slice(0, at) + right + left + key.slice(at + 2));
      });
    }),
    { numRuns: 500 },
  );
  t.end();
});

void t.test('no key at all can be swapped across the border of secret and checksum', (t) => {
  // Random keys would not find the one in 2^32 that fails, so this is the proof: the swap turns the last body character
  // a into b, which changes the CRC by exclusive-or with a constant D, and the checksum's first character b into a,
  // which changes its value by (a - b) * 62^5. Both can be the same change of one number only if that difference is a
  // sum of the bits of D, each taken plus or minus. The first character of a checksum is 0 to 4: 62^5 * 5 > 2^32.
  for (const a of '01234') {
    for (const b of '01234') {
      if (a === b) continue;
      const bits = (crc32(a) ^ crc32(b)) >>> 0;
      const raised = ((Number(a) - Number(b)) * 62 ** 5 + bits) / 2;
      const isSum =
        Number.isInteger(raised) && raised >= 0 && raised < 2 ** 32 && (raised & ~bits) >>> 0 === 0;
      t.notOk(isSum, `${a} and ${b}`);
    }
  }
  t.end();
});

void t.test('a text that is not a key is refused', (t) => {
  const key = formatKey(generateKey());
  const noKeys = ['', 'trg_', 'test-api-key-12345', `${key}a`, ` ${key}`, `${key}\n`, key.slice(0, -1)];
  for (const text of noKeys) t.equal(parseKey(text), undefined, JSON.stringify(text));
  fc.assert(fc.property(fc.string(), (text) => parseKey(text) === undefined));
  t.notOk(isKeyId('short'));
  t.notOk(isKeyId('../../etc/pw'));
  t.end();
});
