import fc from 'fast-check';
import t from 'tap';
import { idKey, locate, newEventId } from '../../../src/store/embedded/event-id.ts';

const V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** The bytes of an id. */
function bytes(id: string): Buffer {
  const key = idKey(id);
  if (key === undefined) throw new Error(`${id} is no UUID in lower case`);
  return key;
}

void t.test('an id encodes its place for its tenant, and is a UUID in v4 form', (t) => {
  const sequence = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1));
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9A-Za-z_-]{1,64}$/), sequence, (tenant, sequence) => {
      const id = newEventId(tenant, sequence);
      return V4.test(id) && locate(bytes(id), tenant) === sequence;
    }),
    { numRuns: 2_000 },
  );
  t.end();
});

void t.test('with another tenant or a flipped bit an id gives no place or another one', (t) => {
  const place = 1_767_268_800_123_456;
  const id = bytes(newEventId('acme', place));
  const others = Array.from({ length: 1_000 }, (_, index) => locate(id, `acme${String(index)}`));
  t.ok(others.filter((found) => found !== undefined).length <= 2, 'one tenant in 65,536 has the same tag');
  for (let bit = 0; bit < 128; bit++) {
    const copy = Buffer.from(id);
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    t.not(locate(copy, 'acme'), place, `bit ${String(bit)}`);
  }
  t.end();
});

void t.test('ids of one place look random: each bit is set in half of them, and no two are equal', (t) => {
  const count = 20_000;
  const ids = Array.from({ length: count }, () => newEventId('acme', 1_767_268_800_123_456));
  t.equal(new Set(ids).size, count);
  const fixed = new Set([48, 49, 50, 51, 64, 65]);
  for (let bit = 0; bit < 128; bit++) {
    if (fixed.has(bit)) continue;
    const set = ids.filter((id) => ((bytes(id)[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1).length;
    // Six standard deviations.
    t.ok(Math.abs(set - count / 2) < 425, `bit ${String(bit)} is set in ${String(set)}`);
  }
  t.end();
});
