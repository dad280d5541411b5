import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Micros, StoredEvent } from '../event.ts';
import { PAGE_PAYLOAD_BYTES } from '../event-store.ts';
import type { Lease, Leased, LeaseRequest } from '../lease-store.ts';
import { StoreUnavailableError } from '../store-errors.ts';
import { isWanted } from '../is-wanted.ts';
import type { Lmdb } from './database.ts';
import { pendingAt } from './event-at.ts';
import { inboxEnd, inboxFilter, inboxKey, inboxSequence } from './inbox-index.ts';
import type { LeaseRecord } from './lease-record.ts';
import { SALT_DIGITS, type LeaseTable } from './lease-table.ts';
import type { Range } from './leased-places.ts';
import type { createQuarantine } from './quarantine.ts';
import { isIntact } from './seal.ts';
import type { Sequence } from './sequence.ts';

export interface HandingOutParts {
  readonly lmdb: Lmdb;
  readonly leases: LeaseTable;
  readonly quarantine: ReturnType<typeof createQuarantine>;
  readonly eventTtl: Micros;
  /** 0: no number of leases brings an event into quarantine. */
  readonly maxAttempts: number;
  readonly onDamage: (error: Error) => void;
}

/** A leased event, and its place. */
export interface Taken {
  readonly sequence: Sequence;
  readonly leased: Leased;
}

export interface HandedOut {
  readonly taken: readonly Taken[];
  /** It has not looked everywhere. */
  readonly more: boolean;
}

/** A free event, and what earlier leases have left on it. */
interface Free {
  readonly sequence: Sequence;
  readonly before: LeaseRecord | undefined;
}

/** Hands out free events, oldest first: what has come back, and then what nobody has seen yet. */
export interface HandOut {
  /** Leases them within a transaction. */
  readonly handOut: (tenant: string, request: LeaseRequest, call: string, time: Micros) => HandedOut;
  /** Whether there may be any. Needs no transaction, and some microseconds. */
  readonly mayHave: (tenant: string, request: LeaseRequest, time: Micros) => boolean;
}

/** Inbox entries that a call reads at most among those that have come back, and at most behind them: about 10 ms of the event loop. */
const SCAN_BUDGET = 5_000;
/** Filters whose place in the inbox is known. One that was dropped starts at the oldest event again. */
const FILTERS = 10_000;

export function createHandOut(parts: HandingOutParts): HandOut {
  const { places } = parts.leases;
  /** All matching events up to there have been handed out. Those that have come back since are in `places`. */
  const frontiers = new LRUCache<string, Sequence>({ max: FILTERS });
  let newestTime: Micros = 0;

  const nameOf = (tenant: string, { source, type }: LeaseRequest): string =>
    JSON.stringify([tenant, source, type]);

  function handOut(tenant: string, request: LeaseRequest, call: string, time: Micros): HandedOut {
    // Events that a wrong clock had hidden are there again.
    if (time < newestTime) frontiers.clear();
    newestTime = time;
    const turn = new Turn(parts, tenant, request, call, time);
    for (const range of places.returned(tenant, time)) turn.takeReturned(range);
    const name = nameOf(tenant, request);
    frontiers.set(name, turn.takeFrom(frontiers.get(name) ?? 0));
    places.keep(tenant, turn.left);
    return { taken: turn.taken.sort((a, b) => a.sequence - b.sequence), more: turn.isCutShort };
  }

  return {
    handOut,
    mayHave(tenant, request, time) {
      if (time < newestTime || places.hasReturned(tenant, time)) return true;
      const frontier = frontiers.get(nameOf(tenant, request)) ?? 0;
      const first = Math.max(frontier, time - parts.eventTtl, 0) + 1;
      const range = { start: inboxKey(tenant, first), end: inboxEnd(tenant), limit: 1 };
      for (const _ of parts.lmdb.inbox.getKeys(range)) return true;
      return false;
    },
  };
}

/** One call. */
class Turn {
  readonly taken: Taken[] = [];
  /** Where events are free still that had come back. */
  readonly left: Range[] = [];
  readonly #parts: HandingOutParts;
  readonly #tenant: string;
  readonly #request: LeaseRequest;
  readonly #call: string;
  readonly #time: Micros;
  readonly #matches: ((value: Buffer) => boolean) | undefined;
  /** With it, the leases of a call that is repeated after they ran out have other ids. */
  readonly #salt = randomBytes(SALT_DIGITS / 2).toString('hex');
  #bytes = 0;
  #moves = 0;
  #scanned = 0;

  constructor(parts: HandingOutParts, tenant: string, request: LeaseRequest, call: string, time: Micros) {
    this.#parts = parts;
    this.#tenant = tenant;
    this.#request = request;
    this.#call = call;
    this.#time = time;
    this.#matches = inboxFilter(request.source, request.type);
  }

  /** A limit of the call's work has ended it. */
  get isCutShort(): boolean {
    return this.#moves >= MOVED_TOGETHER || this.#scanned >= SCAN_BUDGET;
  }

  takeReturned({ first, last }: Range): void {
    const { after, leftOut } = this.#take(first - 1, last);
    // The page may have been full before the first event that does not match.
    const rest = Math.min(leftOut ?? Infinity, after + 1);
    if (rest <= last) this.left.push({ first: rest, last });
  }

  /** Returns the place behind which the next call goes on. */
  takeFrom(after: Sequence): Sequence {
    // What has come back, and may be another filter's, does not keep the rest of the inbox waiting.
    this.#scanned = 0;
    return this.#take(after, NEWEST).after;
  }

  /** `after`: up to there all matching events have been taken. `leftOut`: the first free event that does not match. */
  #take(after: Sequence, to: Sequence): { after: Sequence; leftOut: Sequence | undefined } {
    let leftOut: Sequence | undefined;
    while (!this.#isFull() && this.#scanned < SCAN_BUDGET) {
      const found = this.#findFree(after, to);
      leftOut ??= found.leftOut;
      // The walk is over before anything is put: its cursor must not see its own table change.
      for (const free of found.free) {
        if (this.#isFull()) return { after, leftOut };
        this.#takeOne(free);
        after = free.sequence;
      }
      after = Math.max(after, found.after);
      if (found.ended) return { after: to === NEWEST ? after : to, leftOut };
    }
    return { after, leftOut };
  }

  #isFull(): boolean {
    const isLong = this.#bytes >= PAGE_PAYLOAD_BYTES || this.#moves >= MOVED_TOGETHER;
    return isLong || this.taken.length >= this.#request.limit;
  }

  /** As many as are wanted still. `ended`: there are no more in the range. */
  #findFree(after: Sequence, to: Sequence) {
    const { lmdb, leases, eventTtl } = this.#parts;
    const wanted = this.#request.limit - this.taken.length;
    const first = Math.max(after, this.#time - eventTtl, 0) + 1;
    const range = { start: inboxKey(this.#tenant, first), end: inboxKey(this.#tenant, to + 1) };
    const found = { free: [] as Free[], after, leftOut: undefined as Sequence | undefined, ended: false };
    for (const { key, value } of lmdb.inbox.getRange(range)) {
      if (found.free.length === wanted || this.#scanned++ >= SCAN_BUDGET) return found;
      const sequence = inboxSequence(key, this.#tenant);
      if (sequence === undefined) continue;
      found.after = sequence;
      // A damaged entry does not say what it has; the record does.
      const fits = this.#matches === undefined || !isIntact(key, value) || this.#matches(value);
      const before = leases.at(sequence);
      if (before !== undefined && before.until > this.#time) continue;
      if (fits) found.free.push({ sequence, before });
      else found.leftOut ??= sequence;
    }
    found.ended = true;
    return found;
  }

  #takeOne({ sequence, before }: Free): void {
    const { leases, eventTtl, maxAttempts } = this.#parts;
    const { leaseFor, callKey } = this.#request;
    const found = pendingAt(this.#parts, this.#tenant, sequence);
    if (found === undefined) return;
    const { event, bytes } = found;
    const { attempts = 0, lastReason = null } = before ?? {};
    const fits = isWanted(event, this.#request);
    if (fits && !isSpent(attempts, maxAttempts)) {
      const id = this.#call + this.#salt + this.taken.length.toString(16).padStart(4, '0');
      const until = Math.min(this.#time + leaseFor, sequence + eventTtl);
      const record = { tenant: this.#tenant, id, until, attempts: attempts + 1, lastReason };
      leases.put(sequence, { ...record, repeatable: callKey !== undefined });
      this.taken.push({ sequence, leased: { event, lease: leaseOf(record, id) } });
      this.#bytes += bytes;
    } else if (!fits || !this.#setAside(event, sequence, attempts, lastReason)) {
      this.left.push({ first: sequence, last: sequence });
    }
  }

  /** Returns false where the disk has no room for the move. Nothing has been put then. */
  #setAside(event: StoredEvent, sequence: Sequence, attempts: number, lastReason: string | null): boolean {
    try {
      this.#parts.quarantine.enter(event, sequence, attempts, lastReason);
      this.#moves += 1;
      return true;
    } catch (error) {
      if (error instanceof StoreUnavailableError) return false;
      throw error;
    }
  }
}

/** A record of up to 400 KB is put again for each that goes into quarantine. */
const MOVED_TOGETHER = 20;
const NEWEST = Number.MAX_SAFE_INTEGER - 1;

export function leaseOf(
  { until, attempts, lastReason }: Pick<LeaseRecord, 'until' | 'attempts' | 'lastReason'>,
  id: string,
): Lease {
  return { id, until, attempt: attempts, lastReason };
}

/** Whether an event has been leased as often as it may be. */
export function isSpent(attempts: number, maxAttempts: number): boolean {
  return maxAttempts > 0 && attempts >= maxAttempts;
}
