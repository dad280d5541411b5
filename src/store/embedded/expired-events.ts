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

/** What goes with an event that has expired. */
interface Expired {
  readonly key: Buffer;
  readonly indexedId?: Buffer;
  readonly sequence: Sequence;
  /** Whose inboxes may have it: more than one when the record does not tell. */
  readonly tenants: readonly string[];
}

/** Records looked at before they are deleted, so that events of 400 KB do not fill the memory. */
const AHEAD_BYTES = 32 * 1024 * 1024;
/** A larger record has pages of its own. */
const INLINE_BYTES = 2_000;
/** Neighbours in one inbox mostly share a page. */
const NEIGHBOURS = 16;

/** The events lie in the order of their time, so the expired ones are the first: no index of expiry is needed. */
export function createExpiredEvents(parts: Parts): Backlog {
  const { lmdb, counts, deletableTo, pace } = parts;
  const { events, ids, inbox } = lmdb;
  const probes = createProbes(4);
  let after: Buffer | undefined;
  /** Of a record, in the last call of `next`. */
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
    // Gone since it was listed.
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

/** Looks for records that do not tell whose they are in every inbox. */
async function findTenants({ inbox }: Lmdb, strays: readonly Expired[], pace: Pace): Promise<Expired[]> {
  const tenants = strays.map((): string[] => []);
  let start: { start: Buffer; exclusiveStart?: true } | undefined = { start: FIRST_KEY };
  while (start !== undefined) {
    const [key] = inbox.getKeys({ ...start, limit: 1 });
    const tenant = key && inboxTenant(key);
    // From tenant to tenant; a key that names none is damaged.
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

/** Keys that lead to the pages of their inbox entries. */
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
  /** Undefined: nothing proves it. */
  readonly tenant: string | undefined;
  /** Where the event has an index entry. */
  readonly indexedId?: Buffer;
  readonly disagrees?: true;
}

/**
 * Whose event it is, and its id where that has an index entry. By the id in its record, and by the place that this tells
 * or that its index entry does: the two prove each other, so that the checksum over what may be 400 KB need not be made.
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
  // What was read since has taken the place of the record in memory.
  const again = readValue(events, key);
  const isProved = again !== undefined && isIntact(key, again);
  return isProved ? { tenant, indexedId: id, disagrees: true } : { tenant: undefined, disagrees: true };
}
