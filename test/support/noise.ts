/**
 * JSON text of an object of exactly `bytes` bytes that is as hard to compress as UTF-8 can be for a compressor that
 * looks at bytes: each of the bytes that may occur is about equally frequent. The same on every run, for each seed.
 */
export function noise(bytes: number, seed = 0): string {
  let state = 2_463_534_242 ^ Math.imul(seed + 1, 2_654_435_761);
  const random = (below: number) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  const parts: string[] = [];
  let left = bytes - '{"k":""}'.length;
  while (left > 0) {
    const character = oneOf(random, left);
    parts.push(character);
    left -= Buffer.byteLength(character);
  }
  return `{"k":"${parts.join('')}"}`;
}

/** 94 bytes stand for themselves, 30 lead one more, 16 lead two and 5 lead three more. */
function oneOf(random: (below: number) => number, left: number): string {
  const lead = random(94 + 30 + 16 + 5);
  if (lead < 94 || left < 4) {
    const character = String.fromCharCode(32 + random(96));
    return character === '\\' || character === '"' ? '!' : character;
  }
  if (lead < 124) return String.fromCodePoint(0x80 + random(0x800 - 0x80));
  if (lead < 140) {
    const point = 0x800 + random(0x10000 - 0x800);
    // Half of a surrogate pair is no character.
    return String.fromCodePoint(point >= 0xd800 && point < 0xe000 ? 0x800 + (point & 0x7ff) : point);
  }
  return String.fromCodePoint(0x10000 + random(0x110000 - 0x10000));
}
