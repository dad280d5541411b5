import type { Micros } from '../../events/event.ts';
import { CorruptEventError, StoreOverloadedError, StoreUnavailableError } from '../errors.ts';
import type { Claims } from './claims.ts';
import type { Counts } from './counts.ts';
import { readValue } from './database.ts';
import type { Lmdb } from './database.ts';
import { locate } from './event-id.ts';
import {
  HEADER_BYTES,
  idEntryBody,
  inboxKey,
  isIntact,
  readSequence,
  recordedId,
  recordedTenant,
  sequenceKey,
} from './record.ts';
import type { Sequence } from './record.ts';
import { HOUSE } from './writer.ts';
import type { Writer } from './writer.ts';

/** Events of one transaction: a few ms of the event loop, and their pages may have to come from disk. */
const CHUNK = 200;

interface Parts {
  readonly lmdb: Lmdb;
  readonly writer: Writer;
  readonly counts: Counts;
  readonly claims: Claims;
  /** Events up to this time are deleted: later than they expire (`retention.ts`). */
  readonly deletableTo: () => Micros;
  readonly onDamage: (error: Error) => void;
}

export interface Sweep {
  /** Deletes what may be deleted; calls at once share one walk. Resolves with the number of events deleted. */
  run(): Promise<number>;
  every(milliseconds: number): void;
  stop(): void;
}

/** The events lie in the order of their time, so the expired ones are the first: no index of expiry is needed. */
export function createSweep(parts: Parts): Sweep {
  let running: Promise<number> | undefined;
  let timer: NodeJS.Timeout | undefined;
  const run = () => (running ??= sweepAll(parts).finally(() => (running = undefined)));
  return {
    run,
    every(milliseconds) {
      timer = setInterval(() => {
        run().catch((error: unknown) => {
          // Closed, failed or busy: the next one, if there is one, finds the same events.
          if (error instanceof StoreUnavailableError || error instanceof StoreOverloadedError) return;
          throw error;
        });
      }, milliseconds).unref();
    },
    stop() {
      clearInterval(timer);
    },
  };
}

async function sweepAll(parts: Parts): Promise<number> {
  const { writer, claims, deletableTo } = parts;
  while ((await writer.write(HOUSE, 0, () => claims.sweep(CHUNK))) === CHUNK);
  let total = 0;
  for (;;) {
    const swept = await writer.write(HOUSE, 0, () => sweepChunk(parts, deletableTo()));
    total += swept;
    if (swept < CHUNK) return total;
  }
}

function sweepChunk({ lmdb, counts, onDamage }: Parts, deletableTo: Sequence): number {
  const { events, ids, inbox } = lmdb;
  const end = sequenceKey(Math.max(0, deletableTo + 1));
  const keys = [...events.getKeys({ end, limit: CHUNK })];
  for (const key of keys) {
    const sequence = readSequence(key, 0);
    const owner = ownerOf(lmdb, key, sequence);
    if (owner === undefined) {
      onDamage(
        new CorruptEventError(`Expired record ${String(sequence)} disagrees with the index; it is removed`),
      );
    } else if (owner.indexedId !== undefined) ids.removeSync(owner.indexedId);
    for (const tenant of owner === undefined ? tenants(lmdb) : [owner.tenant]) {
      if (inbox.removeSync(inboxKey(tenant, sequence))) counts.add(tenant, -1);
    }
    events.removeSync(key);
  }
  return keys.length;
}

/**
 * Whose event it is, and its id where that has an index entry. By the id in its record, and by the place that this tells
 * or that its index entry does: the two prove each other, so that the checksum over what may be 400 KB need not be made.
 */
function ownerOf(
  { events, ids }: Lmdb,
  key: Buffer,
  sequence: Sequence,
): { tenant: string; indexedId?: Buffer } | undefined {
  const record = readValue(events, key);
  if (record === undefined || record.length < HEADER_BYTES) return undefined;
  const [id, tenant] = [recordedId(record), recordedTenant(record)];
  if (locate(id, tenant) === sequence) return { tenant };
  const value = readValue(ids, id);
  if (value === undefined || !isIntact(id, value)) return undefined;
  const entry = idEntryBody(value);
  return entry.sequence === sequence ? { tenant: entry.tenant, indexedId: id } : undefined;
}

/** Every tenant with pending events. */
function tenants({ counts }: Lmdb): string[] {
  return Array.from(counts.getKeys({}), (key) => key.toString('latin1'));
}
