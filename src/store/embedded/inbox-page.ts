import type { Micros, StoredEvent } from '../event.ts';
import { CorruptEventError, InvalidPositionError } from '../store-errors.ts';
import type { PageRequest, PendingPage } from '../event-store.ts';
import { PAGE_PAYLOAD_BYTES } from '../event-store.ts';
import { pageTag } from '../page-tag.ts';
import { isWanted } from '../is-wanted.ts';
import type { Lmdb } from './database.ts';
import { pendingAt } from './event-at.ts';
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
  const events: StoredEvent[] = [];
  const leasedUntil = new Map<string, Micros>();
  const shown = new Shown(source);
  let bytes = 0;
  const isFull = () => events.length === request.limit || bytes >= PAGE_PAYLOAD_BYTES;
  const next = scan(source, tenant, request, isFull, (sequence) => {
    const record = pendingAt(source, tenant, sequence);
    // Only a damaged index entry lets an event through that does not match.
    if (record === undefined || !isWanted(record.event, request)) return;
    events.push(record.event);
    bytes += record.bytes;
    const until = shown.add(sequence);
    if (until !== undefined) leasedUntil.set(record.event.id, until);
  });
  const isWhole = request.after === null && bytes < PAGE_PAYLOAD_BYTES;
  return {
    ...{ events, next },
    ...(leasedUntil.size > 0 && { leasedUntil }),
    ...(isWhole && { tag: shown.tag(next !== null) }),
  };
}

/** As `EventStore.pendingTag`. */
export function pendingTag(source: Source, tenant: string, page: Omit<PageRequest, 'after'>): string {
  const shown = new Shown(source);
  const isFull = () => shown.size === page.limit;
  const next = scan(source, tenant, { ...page, after: null }, isFull, (sequence) => shown.add(sequence));
  return shown.tag(next !== null);
}

/** What a page shows. */
class Shown {
  size = 0;
  readonly #leasedUntil: Source['leasedUntil'];
  #text = '';

  constructor({ leasedUntil }: Pick<Source, 'leasedUntil'>) {
    this.#leasedUntil = leasedUntil;
  }

  /** Returns until when the event is leased, if it is. */
  add(sequence: Sequence): Micros | undefined {
    const until = this.#leasedUntil(sequence);
    this.#text += `${String(sequence)} ${String(until)}\n`;
    this.size += 1;
    return until;
  }

  tag(hasMore: boolean): string {
    return pageTag(this.#text, hasMore);
  }
}

/**
 * Hands matching entries to `take`, oldest first, until the page is full or has been looked for long enough. Returns the position
 * from which to go on; null at the end of the walk.
 */
function scan(
  { lmdb, expiredTo, newest, onDamage }: Source,
  tenant: string,
  request: PageRequest,
  isFull: () => boolean,
  take: (sequence: Sequence) => void,
): string | null {
  const matches = inboxFilter(request.source, request.type);
  const { after, last } = startOrGoOn(request.after, newest);
  const start = Math.max(after, expiredTo, 0) + 1;
  if (start > last) return null;
  const range = { start: inboxKey(tenant, start), end: inboxKey(tenant, last + 1) };
  let scanned = 0;
  let position: Sequence = after;
  const goOn = () => `${String(position)}-${String(last)}`;
  // Without a filter the values are not needed: the records have everything.
  const entries = matches === undefined ? keysOnly(lmdb.inbox.getKeys(range)) : lmdb.inbox.getRange(range);
  for (const { key, value } of entries) {
    if (scanned++ === SCAN_BUDGET) return goOn();
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
      if (isFull()) return goOn();
      take(sequence);
    }
    position = sequence;
  }
  return null;
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
