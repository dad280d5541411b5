import TinyQueue from 'tinyqueue';
import type { Micros } from '../event.ts';
import { StoreOverloadedError } from '../store-errors.ts';
import type { Sequence } from './sequence.ts';

/** Events of one tenant from `first` to `last`, among which some are free, or will be. */
export interface Range {
  first: Sequence;
  last: Sequence;
}

/**
 * Which events are leased, as far as it must be known in memory: which come back when, and how far the inboxes have been handed
 * out. So the cost of a lease call follows what it returns and not what is leased at the time. It is rebuilt at a start from the
 * table `leases`, and bounded by `MOST_LEASED`.
 *
 * What memory says is only where to look: the table decides whether an event is free.
 */
export interface LeasedPlaces {
  /** @throws a `StoreOverloadedError` when so many more events cannot be leased at that time. */
  requireRoom(tenant: string, events: number, time: Micros): void;
  /** Events between `first` and `last`, of one call or a single one, come back at that time. */
  hold(tenant: string, name: string, until: Micros, range: Range, events: number): void;
  /** One of the events that are held by that name comes back no more. Returns false if the name is not known. */
  drop(name: string): boolean;
  /** What has come back to the tenant by that time, oldest first. The caller takes out what it has handed out. */
  returned(tenant: string, time: Micros): Range[];
  /** Gives such a list back. */
  keep(tenant: string, ranges: Range[]): void;
  /** Whether anything has come back to the tenant by that time. */
  hasReturned(tenant: string, time: Micros): boolean;
  /** When the next ones come back to the tenant, after that time; undefined: none are held. */
  next(tenant: string, time: Micros): Micros | undefined;
}

/** Events that are leased at one time. Amazon SQS stops at 120,000 a queue. An event takes up to 300 bytes. */
const MOST_LEASED = 500_000;

interface Held extends Range {
  readonly name: string;
  readonly until: Micros;
  /** How many of them still come back. */
  events: number;
}

interface Shelf {
  queue: TinyQueue<Held>;
  /** Entries of the queue of which no event comes back. */
  over: number;
  /** Events that are held. */
  events: number;
  returned: Range[];
}

/** @param onHold is told of each `hold`. */
export function createLeasedPlaces(
  mostLeased = MOST_LEASED,
  onHold: (tenant: string, until: Micros) => void = () => undefined,
): LeasedPlaces {
  return new Places(mostLeased, onHold);
}

class Places implements LeasedPlaces {
  readonly #mostLeased: number;
  readonly #onHold: (tenant: string, until: Micros) => void;
  readonly #shelves = new Map<string, Shelf>();
  readonly #byName = new Map<
    string,
    { readonly held: Held; readonly tenant: string; readonly shelf: Shelf }
  >();
  #total = 0;

  constructor(mostLeased: number, onHold: (tenant: string, until: Micros) => void) {
    this.#mostLeased = mostLeased;
    this.#onHold = onHold;
  }

  requireRoom(tenant: string, events: number, time: Micros): void {
    if (this.#hasRoom(tenant, events)) return;
    // Leases of tenants that lease no more have run out without anybody looking.
    for (const shelf of this.#shelves.values()) this.#collect(shelf, time);
    if (this.#hasRoom(tenant, events)) return;
    throw new StoreOverloadedError('Too many events are leased; settle some of them first');
  }

  hold(tenant: string, name: string, until: Micros, { first, last }: Range, events: number): void {
    const shelf = this.#shelfOf(tenant);
    const held = { name, until, first, last, events };
    shelf.queue.push(held);
    shelf.events += events;
    this.#total += events;
    this.#byName.set(name, { held, tenant, shelf });
    this.#onHold(tenant, until);
  }

  drop(name: string): boolean {
    const found = this.#byName.get(name);
    if (found === undefined) return false;
    const { held, tenant, shelf } = found;
    held.events--;
    shelf.events--;
    this.#total--;
    if (held.events === 0) {
      this.#byName.delete(name);
      shelf.over++;
      compact(shelf);
    }
    this.#forget(tenant, shelf);
    return true;
  }

  returned(tenant: string, time: Micros): Range[] {
    const shelf = this.#shelves.get(tenant);
    if (shelf === undefined) return [];
    this.#collect(shelf, time);
    const { returned } = shelf;
    shelf.returned = [];
    this.#forget(tenant, shelf);
    return returned;
  }

  keep(tenant: string, ranges: Range[]): void {
    if (ranges.length > 0) this.#shelfOf(tenant).returned.push(...ranges);
  }

  hasReturned(tenant: string, time: Micros): boolean {
    const shelf = this.#shelves.get(tenant);
    if (shelf === undefined) return false;
    this.#collect(shelf, time);
    return shelf.returned.length > 0;
  }

  next(tenant: string, time: Micros): Micros | undefined {
    const shelf = this.#shelves.get(tenant);
    if (shelf === undefined) return undefined;
    this.#collect(shelf, time);
    return shelf.queue.peek()?.until;
  }

  #shelfOf(tenant: string): Shelf {
    const shelf = this.#shelves.get(tenant) ?? { queue: newQueue([]), over: 0, events: 0, returned: [] };
    this.#shelves.set(tenant, shelf);
    return shelf;
  }

  #forget(tenant: string, shelf: Shelf): void {
    if (shelf.events === 0 && shelf.returned.length === 0) this.#shelves.delete(tenant);
  }

  /** As `createShares` does it: a tenant may hold as much as is still free. */
  #hasRoom(tenant: string, events: number): boolean {
    const free = this.#mostLeased - this.#total - events;
    const mine = this.#shelves.get(tenant)?.events ?? 0;
    return free >= 0 && (mine === 0 || mine + events <= free);
  }

  /** Moves what has come back by that time out of the queue. */
  #collect(shelf: Shelf, time: Micros): void {
    const { queue, returned } = shelf;
    for (let next = queue.peek(); next !== undefined && next.until <= time; next = queue.peek()) {
      queue.pop();
      if (next.events === 0) {
        shelf.over--;
        continue;
      }
      returned.push({ first: next.first, last: next.last });
      if (this.#byName.get(next.name)?.held === next) this.#byName.delete(next.name);
      this.#total -= next.events;
      shelf.events -= next.events;
    }
    shelf.returned = merged(returned);
  }
}

function newQueue(held: Held[]): TinyQueue<Held> {
  return new TinyQueue(held, (a, b) => a.until - b.until);
}

/** Leases of hours that were settled at once would stay in the queue for hours. */
function compact(shelf: Shelf): void {
  if (shelf.over < 100 || shelf.over < shelf.queue.length / 2) return;
  shelf.queue = newQueue(shelf.queue.data.filter(({ events }) => events > 0));
  shelf.over = 0;
}

/** Each call sorts and copies them. */
const MOST_RANGES = 1_000;

/** Oldest first, without overlaps. Too many ranges are joined with what is between them: looking there is a detour, no mistake. */
function merged(ranges: Range[]): Range[] {
  if (ranges.length < 2) return ranges;
  ranges.sort((a, b) => a.first - b.first);
  const joined = Math.ceil(ranges.length / MOST_RANGES);
  const result: Range[] = [];
  let end: Range | undefined;
  for (const [index, { first, last }] of ranges.entries()) {
    if (end !== undefined && (first <= end.last || index % joined !== 0)) end.last = Math.max(end.last, last);
    else result.push((end = { first, last }));
  }
  return result;
}
