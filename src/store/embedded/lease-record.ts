import type { Micros } from '../event.ts';
import { BODY_START, bodyEnd, newEntry, seal, type Entry } from './seal.ts';
import { readSequence, SEQUENCE_BYTES, writeSequence, type Sequence } from './sequence.ts';

/**
 * What leases have left on a pending event, in the table `leases`: sequence -> record. An event that was never leased has none, and
 * an acknowledgement removes it. Keys are in the order of time, whatever the tenants, as in the table `done`.
 */
export interface LeaseRecord {
  readonly tenant: string;
  /** 32 hex digits, of which the first 16 name the call; null: the last lease was ended by its holder. */
  readonly id: string | null;
  /** Until then nobody else may lease the event. */
  readonly until: Micros;
  readonly attempts: number;
  readonly lastReason: string | null;
  /** Whether the call can be repeated to get its leases again. */
  readonly repeatable: boolean;
}

export const ID_BYTES = 16;

export function leaseEntry(sequence: Sequence, record: LeaseRecord): Entry {
  const { tenant, id, until, attempts, lastReason, repeatable } = record;
  const reasonBytes = lastReason === null ? 0 : Buffer.byteLength(lastReason);
  const entry = newEntry(SEQUENCE_BYTES, AT.tenant - BODY_START + tenant.length + reasonBytes);
  const { key, value } = entry;
  writeSequence(key, sequence, 0);
  value[AT.flags] =
    (id === null ? 0 : HELD) | (lastReason === null ? 0 : REASON) | (repeatable ? REPEATABLE : 0);
  if (id === null) value.fill(0, AT.id, AT.id + ID_BYTES);
  else value.write(id, AT.id, 'hex');
  writeSequence(value, until, AT.until);
  value.writeUInt32BE(attempts, AT.attempts);
  value.writeUInt8(tenant.length, AT.tenantLength);
  value.write(tenant, AT.tenant, 'latin1');
  if (lastReason !== null) value.write(lastReason, AT.tenant + tenant.length, 'utf8');
  return seal(entry);
}

/** What an intact entry says. */
export function decodeLease(value: Buffer): LeaseRecord {
  const flags = value.readUInt8(AT.flags);
  const reasonAt = AT.tenant + value.readUInt8(AT.tenantLength);
  return {
    tenant: value.toString('latin1', AT.tenant, reasonAt),
    id: (flags & HELD) === 0 ? null : value.toString('hex', AT.id, AT.id + ID_BYTES),
    until: readSequence(value, AT.until),
    attempts: value.readUInt32BE(AT.attempts),
    lastReason: (flags & REASON) === 0 ? null : value.toString('utf8', reasonAt, bodyEnd(value)),
    repeatable: (flags & REPEATABLE) !== 0,
  };
}

/** The tenant and the reason follow. */
const AT = { flags: 1, id: 2, until: 18, attempts: 26, tenantLength: 30, tenant: 31 };
const [HELD, REASON, REPEATABLE] = [1, 2, 4] as const;
