import type { StoredEvent } from '../event.ts';
import { CorruptEventError } from '../store-errors.ts';
import { readValue, type Lmdb } from './database.ts';
import { decodeEvent, payloadBytes } from './event-record.ts';
import { isIntact } from './seal.ts';
import { sequenceKey, type Sequence } from './sequence.ts';

interface Source {
  readonly lmdb: Pick<Lmdb, 'events' | 'done'>;
  readonly onDamage: (error: Error) => void;
}

/** An event that an entry of another table leads to, and the bytes of its payload. */
export interface FoundEvent {
  readonly event: StoredEvent;
  readonly bytes: number;
}

/**
 * The event at that place. Undefined: its record is missing or damaged, which is reported.
 *
 * @param where the table that leads there, for the report.
 */
export function eventAt(
  { lmdb: { events }, onDamage }: Source,
  where: 'inbox' | 'quarantine',
  tenant: string,
  sequence: Sequence,
): FoundEvent | undefined {
  const key = sequenceKey(sequence);
  const value = readValue(events, key);
  if (value !== undefined && isIntact(key, value)) {
    return { bytes: payloadBytes(value), event: decodeEvent(value) };
  }
  const what = value === undefined ? 'missing' : 'damaged';
  onDamage(
    new CorruptEventError(`Record ${String(sequence)} in the ${where} of tenant ${tenant} is ${what}`),
  );
  return undefined;
}

/** The event of an inbox entry. Undefined also: it is another tenant's, or is not pending, which is reported. */
export function pendingAt(source: Source, tenant: string, sequence: Sequence): FoundEvent | undefined {
  const found = eventAt(source, 'inbox', tenant, sequence);
  if (found === undefined) return undefined;
  const { event } = found;
  const isPending =
    event.acknowledgedAt === null && readValue(source.lmdb.done, sequenceKey(sequence)) === undefined;
  if (event.tenant === tenant && isPending) return found;
  source.onDamage(
    new CorruptEventError(
      `The inbox of tenant ${tenant} has entry ${String(sequence)}, which is not pending`,
    ),
  );
  return undefined;
}
