import type { Micros, StoredEvent } from '../event.ts';
import { CorruptEventError, InvalidPositionError } from '../store-errors.ts';
import type { PageRequest, PendingPage } from '../event-store.ts';
import { PAGE_PAYLOAD_BYTES } from '../event-store.ts';
import type { Lmdb } from './database.ts';
import { isWanted, pendingAt } from './event-at.ts';
import { inboxFilter, inboxKey, inboxSequence } from './inbox-index.ts';
import { isIntact } from './seal.ts';
import type { Sequence } from './sequence.ts';

/** Index entries that one call reads at most: about 5 ms of the event loop. */
const SCAN_BUDGET = 5_000;

interface Source {
  readonly lmdb: Lmdb;
  readonly expiredTo: Micros;
  /** Sequence of the newest event: a walk that starts now ends with it. */
  readonly newest: Sequence;
  /** Until when the event at that place is leased, if it is. */
  readonly leasedUntil: (sequence: Sequence) => Micros | undefined;
  readonly onDamage: (error: Error) => void;
}

/**
 * One page from the inbox index. A position is the sequence of the last entry that was read and that of the last entry of the
 * walk, as text: `17-42`.
 */
export function listPending(source: Source, tenant: string, request: PageRequest): PendingPage {
  const { lmdb, expiredTo, onDamage } = source;
  const matches = inboxFilter(request.source, request.type);
  const { after, last } = startOrGoOn(request.after, source.newest);
  const start = Math.max(after, expiredTo, 0) + 1;
  if (start > last) return { events: [], next: null };
  const range = { start: inboxKey(tenant, start), end: inboxKey(tenant, last + 1) };
  const found: StoredEvent[] = [];
  const leasedUntil = new Map<string, Micros>();
  const page = (next: string | null) => ({
    events: found,
    next,
    ...(leasedUntil.size > 0 && { leasedUntil }),
  });
  const pageTo = (position: Sequence) => page(`${String(position)}-${String(last)}`);
  let bytes = 0;
  let scanned = 0;
  let position: Sequence = after;
  // Without a filter the values are not needed: the records have everything.
  const entries = matches === undefined ? keysOnly(lmdb.inbox.getKeys(range)) : lmdb.inbox.getRange(range);
  for (const { key, value } of entries) {
    if (scanned++ === SCAN_BUDGET) return pageTo(position);
    const sequence = inboxSequence(key, tenant);
    if (sequence === undefined) {
      onDamage(
        new CorruptEventError(`The inbox of tenant ${tenant} has a damaged key, ${key.toString('hex')}`),
      );
      continue;
    }
    // A damaged entry does not say which source and type it has. Its record does, if there is one.
    if (matches === undefined || value === undefined || !isIntact(key, value) || matches(value)) {
      // The page is full, and there is more.
      if (found.length === request.limit || bytes >= PAGE_PAYLOAD_BYTES) {
        return pageTo(position);
      }
      const record = pendingAt(source, tenant, sequence);
      // Only a damaged index entry lets an event through that does not match.
      if (record !== undefined && isWanted(record.event, request)) {
        found.push(record.event);
        bytes += record.bytes;
        const until = source.leasedUntil(sequence);
        if (until !== undefined) leasedUntil.set(record.event.id, until);
      }
    }
    position = sequence;
  }
  return page(null);
}

function startOrGoOn(position: string | null, newest: Sequence): { after: Sequence; last: Sequence } {
  if (position === null) return { after: 0, last: newest };
  const [, after, last] = /^(\d{1,16})(?:-(\d{1,16}))?$/.exec(position) ?? [];
  // The previous version gave out positions without an end.
  const walk = { after: Number(after), last: last === undefined ? newest : Number(last) };
  // `last + 1` is used as the end of a range.
  if (!Number.isSafeInteger(walk.after) || !Number.isSafeInteger(walk.last + 1)) {
    throw new InvalidPositionError(`${position} is no position of this store`);
  }
  return walk;
}

function* keysOnly(keys: Iterable<Buffer>): Generator<{ key: Buffer; value?: Buffer }> {
  for (const key of keys) yield { key };
}
