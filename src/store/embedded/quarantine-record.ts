import type { StoredEvent } from '../event.ts';
import type { Quarantine } from '../lease-store.ts';
import { inboxKey } from './inbox-index.ts';
import { jsonBody, jsonEntry, type Entry } from './seal.ts';
import type { Sequence } from './sequence.ts';

/** The table `quarantine`: (tenant, sequence) -> why and since when, and what filters look at. */
export interface QuarantineRecord extends Quarantine {
  readonly source: string | null;
  readonly type: string;
}

export function quarantineEntry(
  { tenant, source, type }: StoredEvent,
  sequence: Sequence,
  { since, attempts, lastReason }: Quarantine,
): Entry {
  return jsonEntry(inboxKey(tenant, sequence), { since, attempts, lastReason, source, type });
}

/** What an intact entry says. */
export function decodeQuarantine(value: Buffer): QuarantineRecord {
  return jsonBody(value) as QuarantineRecord;
}

/** As the port shows it. */
export function quarantineOf({ since, attempts, lastReason }: QuarantineRecord): Quarantine {
  return { since, attempts, lastReason };
}
