import type { Micros } from '../event.ts';

/** Place of an event in the order of the store, and its time: see docs/decisions/002-sequence-is-the-time.md. */
export type Sequence = Micros;

export const SEQUENCE_BYTES = 8;

/** Key of an event record. */
export function sequenceKey(sequence: Sequence): Buffer {
  const key = Buffer.allocUnsafe(SEQUENCE_BYTES);
  writeSequence(key, sequence, 0);
  return key;
}

/** The sequence in the key of an event record; undefined when `sequenceKey` does not make such keys. */
export function sequenceOf(key: Buffer): Sequence | undefined {
  if (key.length !== SEQUENCE_BYTES) return undefined;
  const sequence = readSequence(key, 0);
  return Number.isSafeInteger(sequence) ? sequence : undefined;
}

export function readSequence(buffer: Buffer, offset: number): Sequence {
  return buffer.readUInt32BE(offset) * 2 ** 32 + buffer.readUInt32BE(offset + 4);
}

export function writeSequence(buffer: Buffer, sequence: Sequence, offset: number): void {
  buffer.writeUInt32BE(Math.floor(sequence / 2 ** 32), offset);
  buffer.writeUInt32BE(sequence % 2 ** 32, offset + 4);
}
