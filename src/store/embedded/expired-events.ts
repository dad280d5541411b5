import type { Micros } from '../event.ts';
import { CorruptEventError } from '../store-errors.ts';
import type { Counts } from './counts.ts';
import { readValue } from './database.ts';
import type { Lmdb } from './database.ts';
import type { Backlog, Deletion, Pace } from './expired.ts';
import { createProbes, listKeys } from './expired.ts';
import { locate } from './event-id.ts';
import { HEADER_BYTES, recordedId, recordedTenant } from './event-record.ts';
import { decodeIdEntry } from './id-index.ts';
import { inboxEnd, inboxKey, inboxTenant } from './inbox-index.ts';
import { isIntact } from './seal.ts';
import { sequenceKey, sequenceOf } from './sequence.ts';
import type { Sequence } from './sequence.ts';

interface Parts {
  readonly lmdb: Lmdb;
  readonly counts: Counts;
  /** Events up to this time may be deleted. */
  readonly deletableTo: () => Micros;
  readonly onDamage: (error: Error) => void;
  readonly pace: Pace;
}

/** What is deleted with an event that has expired. */
interface Expired {
  readonly key: Buffer;
  readonly indexedId?: Buffer;
  readonly sequence: Sequence;
  /** Tenants whose inboxes may contain it: more than one when the record does not say whose it is. */
  readonly tenants: readonly string[];
}

/** Bytes of records that are read ahead of their deletion, so that events of 400 KB do not fill the memory. */
const AHEAD_BYTES = 32 * 1024 * 1024;
/** A larger record has pages of its own. */
const INLINE_BYTES = 2_000;
/** This many neighbours in one inbox usually share a page. */
const NEIGHBOURS = 16;

/** Events are stored in the order of their time, so the expired ones are the first, and need no index by expiry. */
export function createExpiredEvents(parts: Parts): Backlog {
  const { lmdb, counts, deletableTo, pace } = parts;
  const { events, ids, inbox, done } = lmdb;
  const probes = createProbes(4);
  let after: Buffer | undefined;
  /** Mean size of a record in the last call of `next`. */
  let meanBytes = 1_000;

  return {
    rewind() {
      after = undefined;
    },

    async next(limit) {
      const end = sequenceKey(Math.max(0, deletableTo() + 1));
      const wanted = Math.max(1, Math.min(limit, Math.floor(AHEAD_BYTES / meanBytes)));
      await pace.prefetch(events, probes.keys(wanted));
      const keys = await listKeys(events, { after, end, limit: wanted }, pace);
      const [first, last] = [keys[0], keys.at(-1)];
      if (first === undefined || last === undefined) return [];
      after = last;
      probes.learn(sequenceOf(first) ?? 0, sequenceOf(last) ?? 0, keys.length);
      if (meanBytes > INLINE_BYTES) await pace.prefetch(events, keys);
      const { expired, bytes } = await lookAt(parts, keys);
      meanBytes = Math.max(100, bytes / keys.length);
      await pace.prefetch(inbox, inboxPages(expired));
      await pace.prefetch(done, keys);
      await pace.prefetch(
        ids,
        expired.flatMap(({ indexedId }) => indexedId ?? []),
      );
      return expired.map(deletion);
    },
  };

  function deletion({ key, indexedId, sequence, tenants }: Expired): Deletion {
    return () => {
      for (const tenant of tenants) {
        if (inbox.removeSync(inboxKey(tenant, sequence))) counts.removed(tenant, sequence);
      }
      if (indexedId !== undefined) ids.removeSync(indexedId);
      done.removeSync(key);
      return events.removeSync(key);
    };
  }
}

async function lookAt(
  { lmdb, onDamage, pace }: Parts,
  keys: readonly Buffer[],
): Promise<{ expired: Expired[]; bytes: number }> {
  const found: Expired[] = [];
  const strays: Expired[] = [];
  let bytes = 0;
  for (const key of keys) {
    if (pace.isUp()) await pace.turn();
    const record = readValue(lmdb.events, key);
    // It was deleted after it had been listed.
    if (record === undefined) continue;
    bytes += record.length;
    const sequence = sequenceOf(key);
    if (sequence === undefined) {
      onDamage(
        new CorruptEventError(`Expired record ${key.toString('hex')} has a damaged key; it is removed`),
      );
      found.push({ key, sequence: 0, tenants: [] });
      continue;
    }
    const owner = ownerOf(lmdb, key, record, sequence);
    if (owner.disagrees) {
      onDamage(
        new CorruptEventError(`Expired record ${String(sequence)} disagrees with the index; it is removed`),
      );
    }
    const { tenant, ...rest } = owner;
    if (tenant === undefined) strays.push({ key, sequence, tenants: [], ...rest });
    else found.push({ key, sequence, tenants: [tenant], ...rest });
  }
  if (strays.length > 0) found.push(...(await findTenants(lmdb, strays, pace)));
  return { expired: found, bytes };
}

/** Looks in every inbox for records that do not say whose they are. */
async function findTenants({ inbox }: Lmdb, strays: readonly Expired[], pace: Pace): Promise<Expired[]> {
  const tenants = strays.map((): string[] => []);
  let start: { start: Buffer; exclusiveStart?: true } | undefined = { start: FIRST_KEY };
  while (start !== undefined) {
    const [key] = inbox.getKeys({ ...start, limit: 1 });
    const tenant = key && inboxTenant(key);
    // Goes from tenant to tenant. A key that names no tenant is damaged.
    if (key === undefined) start = undefined;
    else if (tenant === undefined) start = { start: Buffer.from(key), exclusiveStart: true };
    else start = { start: inboxEnd(tenant) };
    for (const [index, { sequence }] of strays.entries()) {
      if (tenant !== undefined && readValue(inbox, inboxKey(tenant, sequence)) !== undefined) {
        tenants[index]?.push(tenant);
      }
      if (pace.isUp()) await pace.turn();
    }
  }
  return strays.map((stray, index) => ({ ...stray, tenants: tenants[index] ?? [] }));
}

/** Keys that lead to the pages of the events' inbox entries. */
function inboxPages(expired: readonly Expired[]): Buffer[] {
  const keys: Buffer[] = [];
  let [before, since] = ['', 0];
  for (const { tenants, sequence } of expired) {
    for (const tenant of tenants) {
      if (tenant === before && ++since < NEIGHBOURS) continue;
      keys.push(inboxKey(tenant, sequence));
      [before, since] = [tenant, 0];
    }
  }
  return keys;
}

const FIRST_KEY = Buffer.from([0]);

interface Owner {
  /** Undefined: nothing proves whose it is. */
  readonly tenant: string | undefined;
  /** The id of the event, if it has an index entry. */
  readonly indexedId?: Buffer;
  readonly disagrees?: true;
}

/**
 * Whose event it is, and its id if that has an index entry. The id in the record leads to a place, either by itself or by its
 * index entry. When that is the place of the record, the two prove each other, and no checksum over up to 400 KB is needed.
 */
function ownerOf({ events, ids }: Lmdb, key: Buffer, record: Buffer, sequence: Sequence): Owner {
  if (record.length < HEADER_BYTES) return { tenant: undefined, disagrees: true };
  const [id, tenant] = [recordedId(record), recordedTenant(record)];
  if (locate(id, tenant) === sequence) return { tenant };
  const value = readValue(ids, id);
  if (value !== undefined && isIntact(id, value)) {
    const entry = decodeIdEntry(value);
    if (entry.sequence === sequence) return { tenant: entry.tenant, indexedId: id };
  }
  // The record must be read again: later reads have overwritten it in memory.
  const again = readValue(events, key);
  const isProved = again !== undefined && isIntact(key, again);
  return isProved ? { tenant, indexedId: id, disagrees: true } : { tenant: undefined, disagrees: true };
}
