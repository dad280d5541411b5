import type { Micros, StoredEvent } from '../event.ts';
import { formatId, ID_BYTES } from './event-id.ts';
import { BODY_START, bodyEnd, newEntry, seal } from './seal.ts';
import type { Entry } from './seal.ts';
import { SEQUENCE_BYTES, writeSequence } from './sequence.ts';
import type { Sequence } from './sequence.ts';

/** The table `events`: sequence -> event. */
export function eventEntry(event: StoredEvent, id: Buffer, sequence: Sequence): Entry {
  const { tenant, source, type, payload, metadata } = event;
  const sourceBytes = source === null ? 0 : Buffer.byteLength(source);
  const typeBytes = Buffer.byteLength(type);
  const metadataBytes = metadata === null ? 0 : Buffer.byteLength(metadata);
  const payloadBytes = Buffer.byteLength(payload);
  const textBytes = tenant.length + sourceBytes + typeBytes + metadataBytes + payloadBytes;
  const characters =
    tenant.length + (source?.length ?? 0) + type.length + (metadata?.length ?? 0) + payload.length;
  const ascii = textBytes === characters;

  const entry = newEntry(SEQUENCE_BYTES, HEADER_BYTES - BODY_START + textBytes);
  const { key, value } = entry;
  writeSequence(key, sequence, 0);
  value[AT.flags] =
    (ascii ? ASCII : 0) |
    (source === null ? 0 : HAS_SOURCE) |
    (metadata === null ? 0 : HAS_METADATA) |
    (event.acknowledgedAt === null ? 0 : ACKNOWLEDGED);
  value.writeUInt8(tenant.length, AT.tenantLength);
  value.writeUInt16BE(sourceBytes, AT.sourceLength);
  value.writeUInt16BE(typeBytes, AT.typeLength);
  value.writeUInt32BE(metadataBytes, AT.metadataLength);
  value.writeUInt32BE(payloadBytes, AT.payloadLength);
  id.copy(value, AT.id);
  value.writeDoubleBE(event.createdAt, AT.createdAt);
  value.writeDoubleBE(event.acknowledgedAt ?? 0, AT.acknowledgedAt);
  // One write instead of five; with latin1 it is a plain copy.
  const text = tenant + (source ?? '') + type + (metadata ?? '') + payload;
  if (ascii) value.write(text, HEADER_BYTES, 'latin1');
  else value.write(text, HEADER_BYTES, 'utf8');
  return seal(entry);
}

/** The event of an intact record. Whether it was acknowledged stands in the table `done`, unless an older version wrote it here. */
export function decodeEvent(value: Buffer): StoredEvent {
  const flags = value.readUInt8(AT.flags);
  const sourceAt = HEADER_BYTES + value.readUInt8(AT.tenantLength);
  const typeAt = sourceAt + value.readUInt16BE(AT.sourceLength);
  const metadataAt = typeAt + value.readUInt16BE(AT.typeLength);
  const payloadAt = metadataAt + value.readUInt32BE(AT.metadataLength);
  const end = bodyEnd(value);
  let text: (from: number, to: number) => string;
  if ((flags & ASCII) === 0) text = (from, to) => value.toString('utf8', from, to);
  else {
    const all = value.toString('latin1', HEADER_BYTES, end);
    text = (from, to) => all.slice(from - HEADER_BYTES, to - HEADER_BYTES);
  }
  return {
    id: formatId(value, AT.id),
    tenant: text(HEADER_BYTES, sourceAt),
    source: (flags & HAS_SOURCE) === 0 ? null : text(sourceAt, typeAt),
    type: text(typeAt, metadataAt),
    payload: text(payloadAt, end),
    metadata: (flags & HAS_METADATA) === 0 ? null : text(metadataAt, payloadAt),
    createdAt: value.readDoubleBE(AT.createdAt),
    acknowledgedAt: recordedAcknowledgement(value),
  };
}

/** When an intact record says that its event was acknowledged, as in folders of format 1; null: it does not say so. */
export function recordedAcknowledgement(value: Buffer): Micros | null {
  return (value.readUInt8(AT.flags) & ACKNOWLEDGED) === 0 ? null : value.readDoubleBE(AT.acknowledgedAt);
}

/** Bytes of payload in an event record. */
export function payloadBytes(value: Buffer): number {
  return value.readUInt32BE(AT.payloadLength);
}

/** The id that an event record, intact or not, says it has. */
export function recordedId(value: Buffer): Buffer {
  return Buffer.from(value.subarray(AT.id, AT.id + ID_BYTES));
}

/** The tenant that an event record, intact or not, says it is of. */
export function recordedTenant(value: Buffer): string {
  return value.toString('latin1', HEADER_BYTES, HEADER_BYTES + (value[AT.tenantLength] ?? 0));
}

/** Offsets in the header of an event record. Tenant, source, type, metadata and payload follow it, in UTF-8. */
const AT = {
  flags: 1,
  tenantLength: 2,
  sourceLength: 3,
  typeLength: 5,
  metadataLength: 7,
  payloadLength: 11,
  id: 15,
  createdAt: 31,
  acknowledgedAt: 39,
};
/** Every event record is longer than this. */
export const HEADER_BYTES = 47;
const [ASCII, HAS_SOURCE, HAS_METADATA, ACKNOWLEDGED] = [1, 2, 4, 8] as const;
