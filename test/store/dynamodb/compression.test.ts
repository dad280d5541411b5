import t from 'tap';
import { createCompression } from '../../../src/store/dynamodb/compression.ts';
import { noise } from '../../support/noise.ts';

const compression = createCompression();
const caller = { tenant: 'acme', deadline: Infinity };

void t.test('short text stays as it is, without a promise', (t) => {
  const text = `{"k":"${'x'.repeat(4_000)}"}`;
  t.equal(compression.pack(text, text.length, caller), text);
  t.end();
});

void t.test('long text is deflated', async (t) => {
  const text = `{"k":"${'ü'.repeat(100_000)}"}`;
  const packed = await compression.pack(text, Buffer.byteLength(text), caller);
  if (typeof packed === 'string') throw new Error('not packed');
  t.equal(packed.encoding, 'deflate');
  t.ok(packed.data.length < 2_000);
  t.equal(await compression.unpack(packed, Buffer.byteLength(text), 'acme'), text);
  await t.rejects(compression.unpack(packed, 100_000, 'acme'), 'longer than it should be');
  const damaged = { ...packed, data: packed.data.slice(0, 50) };
  await t.rejects(compression.unpack(damaged, Buffer.byteLength(text), 'acme'));
});

void t.test('the hardest text of the largest size leaves room for the rest of the item', async (t) => {
  const text = noise(409_600, 1);
  const packed = await compression.pack(text, 409_600, caller);
  if (typeof packed === 'string') throw new Error('not packed');
  t.equal(packed.encoding, 'br');
  t.ok(packed.data.length < 394_000);
  t.equal(await compression.unpack(packed, 409_600, 'acme'), text);
});

void t.test('of many payloads at once each caller gets its own', async (t) => {
  const texts = Array.from({ length: 20 }, (_, seed) => noise(20_000, seed));
  const packed = await Promise.all(texts.map(async (text) => compression.pack(text, 20_000, caller)));
  const unpacked = packed.map(async (one) =>
    typeof one === 'string' ? one : compression.unpack(one, 20_000, 'acme'),
  );
  t.strictSame(await Promise.all(unpacked), texts);
});
