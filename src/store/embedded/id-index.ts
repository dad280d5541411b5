import { ID_BYTES } from './event-id.ts';
import { BODY_START, bodyEnd, newEntry, seal } from './seal.ts';
import type { Entry } from './seal.ts';
import { readSequence, SEQUENCE_BYTES, writeSequence } from './sequence.ts';
import type { Sequence } from './sequence.ts';

/**
 * The table `ids`: id -> sequence and tenant, for ids that do not say themselves where their event is. The tenant is in it
 * because without it nobody could say whose a damaged event is.
 */
export function idEntry(id: Buffer, sequence: Sequence, tenant: string): Entry {
  const entry = newEntry(ID_BYTES, SEQUENCE_BYTES + tenant.length);
  id.copy(entry.key);
  writeSequence(entry.value, sequence, BODY_START);
  entry.value.write(tenant, TENANT_START, 'latin1');
  return seal(entry);
}

/** What an intact entry says. */
export function decodeIdEntry(value: Buffer): { sequence: Sequence; tenant: string } {
  return {
    sequence: readSequence(value, BODY_START),
    tenant: value.toString('latin1', TENANT_START, bodyEnd(value)),
  };
}

const TENANT_START = BODY_START + SEQUENCE_BYTES;
