/**
 * What the store writes, byte by byte. Every value is
 *
 *     format (1 byte) | body | CRC-32 of key, format and body (4 bytes, little endian)
 *
 * so that a bit that flips on disk, in the value or in its key, is found. Other numbers are big endian.
 */
import { crc32 } from 'node:zlib';
import type { Micros, StoredEvent } from '../event.ts';
import type { Claim } from '../event-store.ts';
import type { ApiKey } from '../key-store.ts';

/** Place of an event in the order of the store, and its time: see docs/decisions/002-sequence-is-the-time.md. */
export type Sequence = Micros;

/** A UUID. */
export const ID_BYTES = 16;

export interface Entry {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** Whether value and key are as they were written. Both must be of their exact length in memory. */
export function isIntact(key: Buffer, value: Buffer): boolean {
  // Over the data with its own checksum behind, a CRC comes to a constant: no part has to be cut out, which on the
  // small arrays of a range is most of the cost (a scan of 5,000 entries took twice the time).
  return value[0] === FORMAT && value.length > CRC_BYTES && crc32(value, crc32(key)) === RESIDUE;
}

/** Key of an event record. */
export function sequenceKey(sequence: Sequence): Buffer {
  const key = Buffer.allocUnsafe(SEQUENCE_BYTES);
  writeSequence(key, sequence, 0);
  return key;
}

/** Of the key of an event record; undefined when it is none that `sequenceKey` makes. */
export function sequenceOf(key: Buffer): Sequence | undefined {
  if (key.length !== SEQUENCE_BYTES) return undefined;
  const sequence = readSequence(key, 0);
  return Number.isSafeInteger(sequence) ? sequence : undefined;
}

export function readSequence(buffer: Buffer, offset: number): Sequence {
  return buffer.readUInt32BE(offset) * 2 ** 32 + buffer.readUInt32BE(offset + 4);
}

/** Key of an id entry: the 16 bytes of a UUID in lower case; undefined for any other text. */
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

/** -1 for what is none in lower case. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  return code >= 0x61 && code <= 0x66 ? code - 0x61 + 10 : -1;
}

/** Key of an inbox entry. NUL ends the tenant: no tenant's keys lie within another's. */
export function inboxKey(tenant: string, sequence: Sequence): Buffer {
  const key = Buffer.allocUnsafe(inboxKeyBytes(tenant));
  writeInboxKey(key, tenant, sequence);
  return key;
}

function inboxKeyBytes(tenant: string): number {
  return tenant.length + 1 + SEQUENCE_BYTES;
}

function writeInboxKey(key: Buffer, tenant: string, sequence: Sequence): void {
  key.write(tenant, 0, 'latin1');
  key[tenant.length] = 0;
  writeSequence(key, sequence, tenant.length + 1);
}

/** The least key that is greater than every inbox key of the tenant. */
export function inboxEnd(tenant: string): Buffer {
  return Buffer.from(`${tenant}\u0001`, 'latin1');
}

/** Of a key of that tenant's inbox; undefined when it is none that `inboxKey` makes. */
export function inboxSequence(key: Buffer, tenant: string): Sequence | undefined {
  if (key.length !== inboxKeyBytes(tenant)) return undefined;
  const sequence = readSequence(key, tenant.length + 1);
  return Number.isSafeInteger(sequence) ? sequence : undefined;
}

/** The tenant whose inbox a key is of; undefined when it is none that `inboxKey` makes. */
export function inboxTenant(key: Buffer): string | undefined {
  const end = key.length - 1 - SEQUENCE_BYTES;
  return end > 0 && key.indexOf(0) === end ? key.toString('latin1', 0, end) : undefined;
}

/** Where a key of that tenant's inbox lies, however long damage has made it: a walk that goes on after this makes progress. */
export function sequenceAfter(key: Buffer, tenant: string): Sequence {
  const bytes = Buffer.alloc(SEQUENCE_BYTES);
  key.copy(bytes, 0, tenant.length + 1);
  return readSequence(bytes, 0);
}

/**
 * id -> sequence and tenant, of ids that do not say it themselves: an event of another tenant, or a damaged one, is told
 * by the index alone.
 */
export function idEntry(id: Buffer, sequence: Sequence, tenant: string): Entry {
  const entry = newEntry(ID_BYTES, SEQUENCE_BYTES + tenant.length);
  id.copy(entry.key);
  writeSequence(entry.value, sequence, 1);
  entry.value.write(tenant, 1 + SEQUENCE_BYTES, 'latin1');
  return sealed(entry);
}

export function idEntryBody(value: Buffer): { sequence: Sequence; tenant: string } {
  return {
    sequence: readSequence(value, 1),
    tenant: value.toString('latin1', 1 + SEQUENCE_BYTES, value.length - CRC_BYTES),
  };
}

/** (tenant, sequence) -> source and type: a filter reads no events. */
export function inboxEntry(event: StoredEvent, sequence: Sequence): Entry {
  const sourceBytes = event.source === null ? 0 : Buffer.byteLength(event.source);
  const { tenant } = event;
  const entry = newEntry(inboxKeyBytes(tenant), 2 + sourceBytes + Buffer.byteLength(event.type));
  writeInboxKey(entry.key, tenant, sequence);
  entry.value.writeUInt16BE(event.source === null ? NO_SOURCE : sourceBytes, 1);
  if (event.source !== null) entry.value.write(event.source, 3, 'utf8');
  entry.value.write(event.type, 3 + sourceBytes, 'utf8');
  return sealed(entry);
}

/** A test for values of the inbox; undefined when it would let all through. */
export function inboxFilter(
  source: string | undefined,
  type: string | undefined,
): ((value: Buffer) => boolean) | undefined {
  if (source === undefined && type === undefined) return undefined;
  const wantedSource = source === undefined ? undefined : Buffer.from(source);
  const wantedType = type === undefined ? undefined : Buffer.from(type);
  return (value) => {
    const length = value.readUInt16BE(1);
    const typeAt = 3 + (length === NO_SOURCE ? 0 : length);
    const end = value.length - CRC_BYTES;
    if (wantedSource !== undefined && wantedSource.length !== length) return false;
    if (wantedType !== undefined && wantedType.length !== end - typeAt) return false;
    return (
      (wantedSource === undefined || wantedSource.compare(value, 3, typeAt) === 0) &&
      (wantedType === undefined || wantedType.compare(value, typeAt, end) === 0)
    );
  };
}

/** Key of a claim. */
export function claimKey(key: string): Buffer {
  return Buffer.from(key, 'hex');
}

/** claim key -> event id, its time, until when, and the fingerprint of its content */
export function claimEntry(key: Buffer, claim: Claim, event: Pick<StoredEvent, 'id' | 'createdAt'>): Entry {
  const entry = newEntry(key.length, ID_BYTES + 2 * SEQUENCE_BYTES + claim.fingerprint.length / 2);
  key.copy(entry.key);
  entry.value.write(event.id.replaceAll('-', ''), 1, 'hex');
  writeSequence(entry.value, event.createdAt, 1 + ID_BYTES);
  writeSequence(entry.value, claim.expiresAt, 1 + ID_BYTES + SEQUENCE_BYTES);
  entry.value.write(claim.fingerprint, 1 + ID_BYTES + 2 * SEQUENCE_BYTES, 'hex');
  return sealed(entry);
}

/** What an intact claim says. */
export function decodeClaim(value: Buffer): Omit<Claim, 'key'> & Pick<StoredEvent, 'id' | 'createdAt'> {
  return {
    id: formatId(value, 1),
    createdAt: readSequence(value, 1 + ID_BYTES),
    expiresAt: readSequence(value, 1 + ID_BYTES + SEQUENCE_BYTES),
    fingerprint: value.toString('hex', 1 + ID_BYTES + 2 * SEQUENCE_BYTES, value.length - CRC_BYTES),
  };
}

export function claimExpiryKey(expiresAt: Micros, key: Buffer): Buffer {
  return Buffer.concat([sequenceKey(expiresAt), key]);
}

/** Whether it is as long as one: a damaged key need not be. */
export function isClaimExpiryKey(key: Buffer): boolean {
  return key.length === SEQUENCE_BYTES + CLAIM_KEY_BYTES;
}

/** What such a key says. */
export function decodeClaimExpiry(key: Buffer): { expiresAt: Micros; claim: Buffer } {
  return { expiresAt: readSequence(key, 0), claim: Buffer.from(key.subarray(SEQUENCE_BYTES)) };
}

export function claimExpiryEntry(expiresAt: Micros, key: Buffer): Entry {
  const whole = claimExpiryKey(expiresAt, key);
  const entry = newEntry(whole.length, 0);
  whole.copy(entry.key);
  return sealed(entry);
}

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

  const entry = newEntry(SEQUENCE_BYTES, HEADER_BYTES - 1 + textBytes);
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
  // One write instead of five; as latin1 it is a plain copy.
  const text = tenant + (source ?? '') + type + (metadata ?? '') + payload;
  if (ascii) value.write(text, HEADER_BYTES, 'latin1');
  else value.write(text, HEADER_BYTES, 'utf8');
  return sealed(entry);
}

/** The event of an intact record. */
export function decodeEvent(value: Buffer): StoredEvent {
  const flags = value.readUInt8(AT.flags);
  const sourceAt = HEADER_BYTES + value.readUInt8(AT.tenantLength);
  const typeAt = sourceAt + value.readUInt16BE(AT.sourceLength);
  const metadataAt = typeAt + value.readUInt16BE(AT.typeLength);
  const payloadAt = metadataAt + value.readUInt32BE(AT.metadataLength);
  const end = value.length - CRC_BYTES;
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
    acknowledgedAt: (flags & ACKNOWLEDGED) === 0 ? null : value.readDoubleBE(AT.acknowledgedAt),
  };
}

/** Key of an API key's record; undefined for what cannot be the id of one. */
export function apiKeyKey(keyId: string): Buffer | undefined {
  return KEY_ID.test(keyId) ? Buffer.from(keyId, 'latin1') : undefined;
}

/** Read and written seldom, so its body is JSON. */
export function apiKeyEntry(apiKey: ApiKey): Entry {
  const key = apiKeyKey(apiKey.keyId);
  if (key === undefined)
    throw new TypeError(`The id of an API key is 1-64 of 0-9 A-Z a-z, not ${apiKey.keyId}`);
  const body = Buffer.from(JSON.stringify(apiKey));
  const entry = newEntry(key.length, body.length);
  key.copy(entry.key);
  body.copy(entry.value, 1);
  return sealed(entry);
}

/** The API key of an intact record. */
export function decodeApiKey(value: Buffer): ApiKey {
  return JSON.parse(value.toString('utf8', 1, value.length - CRC_BYTES)) as ApiKey;
}

/** What the store remembers of itself under that name. Read and written seldom, so its body is JSON. */
export function metaEntry(name: string, body: unknown): Entry {
  const text = Buffer.from(JSON.stringify(body));
  const entry = newEntry(Buffer.byteLength(name), text.length);
  entry.key.write(name, 'latin1');
  text.copy(entry.value, 1);
  return sealed(entry);
}

/** The body of an intact entry. */
export function metaBody(value: Buffer): unknown {
  return JSON.parse(value.toString('utf8', 1, value.length - CRC_BYTES));
}

/** A copy of an intact record, acknowledged at that time. */
export function acknowledgedEntry(key: Buffer, value: Buffer, at: Micros): Entry {
  const entry = newEntry(key.length, value.length - 1 - CRC_BYTES);
  key.copy(entry.key);
  value.copy(entry.value, 0, 0, value.length - CRC_BYTES);
  entry.value.writeUInt8(value.readUInt8(AT.flags) | ACKNOWLEDGED, AT.flags);
  entry.value.writeDoubleBE(at, AT.acknowledgedAt);
  return sealed(entry);
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

const FORMAT = 1;
const KEY_ID = /^[0-9A-Za-z]{1,64}$/;
const CRC_BYTES = 4;
/** CRC-32 of any bytes followed by their own CRC-32, least byte first. */
const RESIDUE = 0x2144df1c;
const SEQUENCE_BYTES = 8;
const CLAIM_KEY_BYTES = 32;
const NO_SOURCE = 0xffff;
const UUID_LENGTH = 36;
const DASH = 0x2d;

/** Header of an event record; behind it tenant, source, type, metadata and payload in UTF-8. */
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
/** An event record is longer, whatever is in it. */
export const HEADER_BYTES = 47;
const [ASCII, HAS_SOURCE, HAS_METADATA, ACKNOWLEDGED] = [1, 2, 4, 8] as const;

/** Key and value side by side, so that one pass over them makes the checksum. */
interface Draft extends Entry {
  readonly whole: Buffer;
}

function newEntry(keyBytes: number, bodyBytes: number): Draft {
  const whole = Buffer.allocUnsafe(keyBytes + 1 + bodyBytes + CRC_BYTES);
  whole[keyBytes] = FORMAT;
  return { whole, key: whole.subarray(0, keyBytes), value: whole.subarray(keyBytes) };
}

function sealed({ whole, key, value }: Draft): Entry {
  const end = whole.length - CRC_BYTES;
  whole.writeUInt32LE(crc32(whole.subarray(0, end)), end);
  return { key, value };
}

function writeSequence(buffer: Buffer, sequence: Sequence, offset: number): void {
  buffer.writeUInt32BE(Math.floor(sequence / 2 ** 32), offset);
  buffer.writeUInt32BE(sequence % 2 ** 32, offset + 4);
}

/** The UUID whose bytes lie there. */
export function formatId(value: Buffer, at: number): string {
  const hex = value.toString('hex', at, at + ID_BYTES);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
