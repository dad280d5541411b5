import type { Micros, StoredEvent } from '../event.ts';
import { CorruptEventError, StoreOverloadedError } from '../store-errors.ts';
import { PAGE_PAYLOAD_BYTES, type PageRequest, type PendingCount, type PendingPage } from '../event-store.ts';
import type { Compression } from './compression.ts';
import type { Deadline } from './deadline.ts';
import { getItems } from './events-table.ts';
import type { IndexEntry, IndexReader } from './index-reader.ts';
import { walkInbox, type InboxWalk, type WalkOptions } from './inbox-walk.ts';
import { pageTag } from '../page-tag.ts';
import {
  fromItem,
  idOfPosition,
  leasedUntil,
  quarantineShardKey,
  shardKey,
  timeOfPosition,
  timePosition,
} from './event-item.ts';
import type { StoreLog } from '../store-log.ts';
import type { FoundItem, Table } from './table.ts';
import { formatWalkPosition, parseWalkPosition } from './walk-position.ts';

export interface InboxOptions {
  readonly reader: IndexReader;
  readonly events: Table;
  readonly compression: Compression;
  /** The latest time that an event of this instance may have now. */
  readonly upcoming: () => Micros;
  /** The number of shards that are read: at least as many as any instance writes. */
  readonly readShards: () => number;
  /** Absent: `PAGE_PAYLOAD_BYTES`. */
  readonly pagePayloadBytes?: number;
  readonly log: StoreLog;
  readonly eventTtl: Micros;
}

/** Where a count stops. */
const COUNT_LIMIT = 10_000;

/**
 * One page of the tenant's events that were created after `horizon`, which is `eventTtl` ago.
 *
 * @param take is called with bytes of payload before they are read. When it refuses, the page ends early; if it is still empty,
 *   the call is refused.
 */
export async function readPage(
  options: InboxOptions,
  tenant: string,
  { limit, after: position, ...filter }: PageRequest,
  horizon: Micros,
  deadline: Deadline,
  take: (bytes: number) => boolean,
  of: 'pending' | 'quarantined' = 'pending',
): Promise<PendingPage> {
  const key = of === 'pending' ? shardKey : quarantineShardKey;
  const oldest = oldestPosition(horizon);
  const { after, end } = position === null ? { after: oldest, end: null } : parseWalkPosition(position);
  const walkEnd = end ?? endOfWalkFrom(options.upcoming());
  const shards = shardKeys(tenant, options.readShards(), key);
  const start = after > oldest ? after : oldest;
  const walk = walkFor(options, shards, { after: start, end, filter, limit }, deadline);
  const page: StoredEvent[] = [];
  const leases = new Map<string, Micros>();
  const now = horizon + options.eventTtl;
  let shown = '';
  let room = options.pagePayloadBytes ?? PAGE_PAYLOAD_BYTES;
  let cutAt: string | undefined;
  while (page.length < limit && room > 0 && cutAt === undefined) {
    const taken = await takeEntries(walk, limit - page.length, room, take);
    const { entries } = taken;
    cutAt = taken.cutAt;
    if (entries.length === 0) break;
    const found = await getItems(options.events, entries.map(idOf), deadline);
    const events = await Promise.all(
      entries.map((entry) => readOpen(found.get(idOf(entry)), tenant, of, options)),
    );
    for (const [index, event] of events.entries()) {
      if (event === undefined) continue;
      const entry = entries[index];
      page.push(event);
      const until = leasedUntil(found.get(event.id) ?? {}, now);
      if (until !== undefined) leases.set(event.id, until);
      // As the record says: the index may lag, and what it shows then must not be taken for the same as this.
      if (entry !== undefined) shown += shownAs({ position: entry.position, leaseUntil: until ?? 0 }, now);
      room -= entry?.payloadBytes ?? 0;
    }
  }
  if (cutAt !== undefined && page.length === 0) {
    throw new StoreOverloadedError('too many bytes of inbox pages are under way');
  }
  const next = await nextPosition(walk, walkEnd, cutAt);
  const isFirst = of === 'pending' && position === null && room > 0 && cutAt === undefined;
  return {
    ...{ events: page, next },
    ...(leases.size > 0 && { leasedUntil: leases }),
    ...(isFirst && { tag: pageTag(shown, next !== null) }),
  };
}

/** As `EventStore.pendingTag`: as the index shows it, which may lag, as the tag of a page does. */
export async function readTag(
  options: InboxOptions,
  tenant: string,
  { limit, ...filter }: Omit<PageRequest, 'after'>,
  horizon: Micros,
  deadline: Deadline,
): Promise<string> {
  const shards = shardKeys(tenant, options.readShards());
  const from = { after: oldestPosition(horizon), end: null };
  const walk = walkFor(options, shards, { ...from, filter, limit }, deadline);
  let shown = '';
  for (let taken = 0; taken < limit; taken++) {
    const entry = await walk.next();
    if (entry === undefined) break;
    shown += shownAs(entry, horizon + options.eventTtl);
  }
  return pageTag(shown, await walk.hasMore());
}

function shownAs({ position, leaseUntil = 0 }: Omit<IndexEntry, 'payloadBytes'>, now: Micros): string {
  return `${position} ${String(leaseUntil > now ? leaseUntil : null)}\n`;
}

function walkFor(
  { reader }: Pick<InboxOptions, 'reader'>,
  shards: readonly string[],
  { limit, ...span }: Pick<WalkOptions, 'after' | 'end' | 'filter'> & { readonly limit: number },
  deadline: Deadline,
): InboxWalk {
  return walkInbox({ reader, shards, ...span, firstAsk: Math.ceil((2 * limit) / shards.length), deadline });
}

/** @param cutAt where the page was cut short, if it was. @returns null when the walk is over. */
async function nextPosition(walk: InboxWalk, end: string, cutAt: string | undefined): Promise<string | null> {
  if (cutAt === undefined && !(await walk.hasMore())) return null;
  const reached = cutAt ?? walk.reached();
  // A first page may reach beyond the end, to events that an instance with a clock ahead has dated.
  return formatWalkPosition(reached, reached > end ? reached : end);
}

interface TakenEntries {
  readonly entries: readonly IndexEntry[];
  /** The position before the entry whose bytes were refused. */
  readonly cutAt?: string;
}

/** Up to `limit` entries. The last one may be the one that uses up the room. */
async function takeEntries(
  walk: InboxWalk,
  limit: number,
  room: number,
  take: (bytes: number) => boolean,
): Promise<TakenEntries> {
  const entries: IndexEntry[] = [];
  while (entries.length < limit && room > 0) {
    const before = walk.reached();
    const entry = await walk.next();
    if (entry === undefined) break;
    if (!take(entry.payloadBytes)) return { entries, cutAt: before };
    entries.push(entry);
    room -= entry.payloadBytes;
  }
  return { entries };
}

/** Undefined: the index lags and the event is there no longer, or its record is damaged, which is logged. */
async function readOpen(
  item: FoundItem | undefined,
  tenant: string,
  of: 'pending' | 'quarantined',
  { compression, log }: InboxOptions,
): Promise<StoredEvent | undefined> {
  const elsewhere = ['acknowledged', of === 'pending' ? 'quarantined' : 'pending'];
  if (item === undefined || item['tenant'] !== tenant || elsewhere.includes(String(item['status'])))
    return undefined;
  try {
    return await fromItem(item, compression);
  } catch (error) {
    if (!(error instanceof CorruptEventError)) throw error;
    log.error({ err: error, event_id: item['event_id'] }, 'damaged event left out of the inbox');
    return undefined;
  }
}

/** Counts the tenant's pending events that were created after `horizon`, up to `COUNT_LIMIT`. */
export async function countInbox(
  { reader, readShards }: InboxOptions,
  tenant: string,
  horizon: Micros,
  deadline: Deadline,
): Promise<PendingCount> {
  let count = 0;
  let open = shardKeys(tenant, readShards()).map((key) => ({ key, readTo: oldestPosition(horizon) }));
  while (open.length > 0 && count <= COUNT_LIMIT) {
    // Each shard gives only its part: if each were read for all that is missing, several times too much would be read.
    const most = Math.ceil((COUNT_LIMIT + 1 - count) / open.length);
    const answers = await Promise.all(
      open.map(async ({ key, readTo }) => {
        const answer = await reader.count(key, readTo, most, deadline);
        return { key, ...answer };
      }),
    );
    count += answers.reduce((sum, answer) => sum + answer.count, 0);
    open = answers.flatMap(({ key, readTo }) => (readTo === null ? [] : [{ key, readTo }]));
  }
  return count > COUNT_LIMIT ? { count: COUNT_LIMIT, exact: false } : { count, exact: true };
}

/** When the tenant's oldest pending event was created; null: the index has none. Reads one entry of each shard. */
export async function oldestPending(
  { reader, readShards }: InboxOptions,
  tenant: string,
  horizon: Micros,
  deadline: Deadline,
): Promise<Micros | null> {
  const span = { after: oldestPosition(horizon), to: null };
  const firsts = await Promise.all(
    shardKeys(tenant, readShards()).map((shard) => reader.query(shard, span, 1, {}, deadline)),
  );
  const times = firsts.flatMap(({ entries }) => entries.map(({ position }) => timeOfPosition(position)));
  return times.length === 0 ? null : Math.min(...times);
}

function shardKeys(tenant: string, shards: number, key = shardKey): readonly string[] {
  return Array.from({ length: shards }, (_, shard) => key(tenant, shard));
}

/** Expired events that the engine has not deleted yet are never even read. */
function oldestPosition(horizon: Micros): string {
  return timePosition(horizon + 1);
}

/** After every position of an event of this time or before. */
function endOfWalkFrom(latest: Micros): string {
  return timePosition(latest + 1);
}

function idOf({ position }: IndexEntry): string {
  return idOfPosition(position);
}
