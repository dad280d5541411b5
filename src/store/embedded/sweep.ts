import type { Micros } from '../../events/event.ts';
import { CorruptEventError, StoreOverloadedError, StoreUnavailableError } from '../errors.ts';
import type { Counts } from './counts.ts';
import { readValue } from './database.ts';
import type { Lmdb } from './database.ts';
import { idEntryBody, inboxKey, isIntact, readSequence, recordedId, sequenceKey } from './record.ts';
import type { Sequence } from './record.ts';
import type { Writer } from './writer.ts';

/** Events of one transaction: a few ms of the event loop, and their pages may have to come from disk. */
const CHUNK = 200;

interface Parts {
  readonly lmdb: Lmdb;
  readonly writer: Writer;
  readonly counts: Counts;
  readonly expiredTo: () => Micros;
  readonly onDamage: (error: Error) => void;
}

export interface Sweep {
  /** Deletes what has expired; calls at once share one walk. Resolves with the number of events deleted. */
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
  const { writer, expiredTo } = parts;
  let total = 0;
  for (;;) {
    const swept = await writer.write(0, () => sweepChunk(parts, expiredTo()));
    total += swept;
    if (swept < CHUNK) return total;
  }
}

function sweepChunk({ lmdb, counts, onDamage }: Parts, expiredTo: Sequence): number {
  const { events, ids, inbox } = lmdb;
  const end = sequenceKey(Math.max(0, expiredTo + 1));
  const keys = [...events.getKeys({ end, limit: CHUNK })];
  for (const key of keys) {
    const sequence = readSequence(key, 0);
    const found = findInIndex(lmdb, key, sequence);
    if (found === undefined) {
      onDamage(
        new CorruptEventError(`Expired record ${String(sequence)} disagrees with the index; it is removed`),
      );
    } else ids.removeSync(found.id);
    for (const tenant of found === undefined ? tenants(lmdb) : [found.tenant]) {
      if (inbox.removeSync(inboxKey(tenant, sequence))) counts.add(tenant, -1);
    }
    events.removeSync(key);
  }
  return keys.length;
}

/**
 * Whose event it is, by the id in its record and the index entry of that id. The two prove each other, so that the
 * checksum over what may be 400 KB need not be made.
 */
function findInIndex(
  { events, ids }: Lmdb,
  key: Buffer,
  sequence: Sequence,
): { id: Buffer; tenant: string } | undefined {
  const record = readValue(events, key);
  const id = record && recordedId(record);
  const value = id && readValue(ids, id);
  if (id === undefined || value === undefined || !isIntact(id, value)) return undefined;
  const entry = idEntryBody(value);
  return entry.sequence === sequence ? { id, tenant: entry.tenant } : undefined;
}

/** Every tenant with pending events. */
function tenants({ counts }: Lmdb): string[] {
  return Array.from(counts.getKeys({}), (key) => key.toString('latin1'));
}
