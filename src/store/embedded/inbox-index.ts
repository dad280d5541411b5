import type { StoredEvent } from '../event.ts';
import { bodyEnd, newEntry, seal } from './seal.ts';
import type { Entry } from './seal.ts';
import { readSequence, SEQUENCE_BYTES, writeSequence } from './sequence.ts';
import type { Sequence } from './sequence.ts';

/** The table `inbox`: (tenant, sequence) -> source and type, so that a filter reads no events. */
export function inboxEntry(event: StoredEvent, sequence: Sequence): Entry {
  const sourceBytes = event.source === null ? 0 : Buffer.byteLength(event.source);
  const { tenant } = event;
  const entry = newEntry(inboxKeyBytes(tenant), 2 + sourceBytes + Buffer.byteLength(event.type));
  writeInboxKey(entry.key, tenant, sequence);
  entry.value.writeUInt16BE(event.source === null ? NO_SOURCE : sourceBytes, 1);
  if (event.source !== null) entry.value.write(event.source, 3, 'utf8');
  entry.value.write(event.type, 3 + sourceBytes, 'utf8');
  return seal(entry);
}

/** Tests values of the inbox against a filter; undefined when all of them pass. */
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
    const end = bodyEnd(value);
    if (wantedSource !== undefined && wantedSource.length !== length) return false;
    if (wantedType !== undefined && wantedType.length !== end - typeAt) return false;
    return (
      (wantedSource === undefined || wantedSource.compare(value, 3, typeAt) === 0) &&
      (wantedType === undefined || wantedType.compare(value, typeAt, end) === 0)
    );
  };
}

/** Key of an inbox entry. NUL ends the tenant, so that no tenant's keys lie among another's. */
export function inboxKey(tenant: string, sequence: Sequence): Buffer {
  const key = Buffer.allocUnsafe(inboxKeyBytes(tenant));
  writeInboxKey(key, tenant, sequence);
  return key;
}

/** The least key that is greater than every inbox key of the tenant. */
export function inboxEnd(tenant: string): Buffer {
  return Buffer.from(`${tenant}\u0001`, 'latin1');
}

/** The sequence in a key of that tenant's inbox; undefined when `inboxKey` does not make such keys. */
export function inboxSequence(key: Buffer, tenant: string): Sequence | undefined {
  if (key.length !== inboxKeyBytes(tenant)) return undefined;
  const sequence = readSequence(key, tenant.length + 1);
  return Number.isSafeInteger(sequence) ? sequence : undefined;
}

/** The tenant whose inbox has the key; undefined when `inboxKey` does not make such keys. */
export function inboxTenant(key: Buffer): string | undefined {
  const end = key.length - 1 - SEQUENCE_BYTES;
  return end > 0 && key.indexOf(0) === end ? key.toString('latin1', 0, end) : undefined;
}

/** Where a key of that tenant's inbox lies, even if damage has changed its length: a walk that continues after it makes progress. */
export function sequenceAfter(key: Buffer, tenant: string): Sequence {
  const bytes = Buffer.alloc(SEQUENCE_BYTES);
  key.copy(bytes, 0, tenant.length + 1);
  return readSequence(bytes, 0);
}

function inboxKeyBytes(tenant: string): number {
  return tenant.length + 1 + SEQUENCE_BYTES;
}

function writeInboxKey(key: Buffer, tenant: string, sequence: Sequence): void {
  key.write(tenant, 0, 'latin1');
  key[tenant.length] = 0;
  writeSequence(key, sequence, tenant.length + 1);
}

/** Stands for the length of a source that is null. */
const NO_SOURCE = 0xffff;
