import type { Micros, StoredEvent } from '../event.ts';
import { PAGE_PAYLOAD_BYTES } from '../event-store.ts';
import { isWanted } from '../is-wanted.ts';
import { LEASE_SKEW } from '../lease-store.ts';
import type { Deadline } from './deadline.ts';
import { idOfPosition, shardKey, timeOfPosition, timePosition } from './event-item.ts';
import type { IndexReader } from './index-reader.ts';
import type { News } from './news.ts';
import { walkInbox } from './inbox-walk.ts';
import { createTurns } from './turns.ts';

/** Which events a lease call tries to lease. The leases of an instance do not fight each other: no event is picked by two of them. */
export interface Candidates {
  /** Up to `limit` events that are free as far as the index and this instance know, oldest first. */
  pick(
    tenant: string,
    request: Wanted,
    take: (bytes: number) => boolean,
    deadline: Deadline,
  ): Promise<Picked>;
  /** The event was given back, and may be picked at once. */
  returned(tenant: string, id: string): void;
  /** Events of the tenant may be free that were leased: the next call begins with the oldest. */
  again(tenant: string): void;
  /** The event has just been stored, and somebody waits for such events: the index may not show it yet. */
  offer(event: StoredEvent): void;
}

export interface Wanted {
  readonly limit: number;
  readonly leaseFor: Micros;
  readonly source?: string;
  readonly type?: string;
  /** As of a `LeaseRequest`. */
  readonly patient?: boolean;
}

export interface Candidate {
  readonly id: string;
  readonly expiresAt: Micros;
}

export interface Picked {
  readonly candidates: readonly Candidate[];
  /** Their payloads fill a page. */
  readonly full: boolean;
  /** `take` has refused more. */
  readonly refused: boolean;
  /** The index has not been read to its end. */
  readonly more: boolean;
}

export interface CandidatesOptions {
  readonly reader: IndexReader;
  readonly readShards: () => number;
  readonly eventTtl: Micros;
  readonly now: () => Micros;
  /** Milliseconds that never go back. */
  readonly clockMs: () => number;
  readonly pagePayloadBytes?: number;
  /** Which instances have consumers that wait. */
  readonly news: Pick<News, 'waitingWith'>;
  /** Is told in how many milliseconds a patient caller should look again. */
  readonly againIn: (tenant: string, wanted: Pick<Wanted, 'source' | 'type'>, ms: number) => void;
}

/** For so long the index may show an event as free that this instance has leased, in milliseconds. */
const INDEX_LAG_MS = 3_000;

/** An event may become visible so much later than one with a later time: clocks differ and the index lags. */
const LATE_EVENTS: Micros = 5e6;

/** From the head again after a tenth of the lease, in this span: leases that have run out are there. */
const AGAIN_MIN: Micros = 1e6;
const AGAIN_MAX: Micros = 10e6;

/** A patient caller reads an index to which nothing has come only so often. */
const WALK_EVERY_MS = 250;

/** Events of one tenant that are on offer. */
const OFFERS = 1_000;

/** Inboxes whose position is remembered, by tenant and filter. */
const PLACES = 10_000;

/** How far an inbox has been handed out. */
interface Place {
  reached: string;
  /** When it was read from the head. */
  headAt: Micros;
  /** When it was read to its end, by `clockMs`. */
  endedAtMs: number;
  /** The last walk has not come to the end. */
  isMidway: boolean;
}

interface Inbox {
  readonly places: Map<string, Place>;
  /** Events that this instance has picked: the index may show them as free for a moment. */
  readonly picked: Map<string, PickedEvent>;
  /** Events that were offered, by id. */
  readonly offered: Map<string, Offer>;
}

interface Offer {
  readonly event: Pick<StoredEvent, 'source' | 'type' | 'createdAt'>;
  readonly bytes: number;
  readonly atMs: number;
}

interface PickedEvent {
  /** By `clockMs`. */
  readonly atMs: number;
  readonly until: Micros;
}

export function createCandidates(options: CandidatesOptions): Candidates {
  const { eventTtl, now, clockMs } = options;
  const inboxes = new Map<string, Inbox>();
  // One walk for each tenant at a time: the next one leaves out what it has picked.
  const walks = createTurns(Infinity, 1);

  const inboxOf = (tenant: string): Inbox => {
    const inbox = inboxes.get(tenant) ?? newInbox();
    putLast(inboxes, tenant, inbox, PLACES);
    return inbox;
  };

  const again = (tenant: string): void => {
    inboxes.get(tenant)?.places.clear();
  };

  return {
    pick: (tenant, wanted, take, deadline) =>
      walks.run(tenant, async () => {
        const inbox = inboxOf(tenant);
        dropOld(inbox.picked, clockMs());
        dropOld(inbox.offered, clockMs());
        const room = options.pagePayloadBytes ?? PAGE_PAYLOAD_BYTES;
        const picking = new Picking(inbox, wanted, { time: now(), atMs: clockMs(), eventTtl, room }, take);
        const place = placeOf(inbox, wanted, picking.time);
        const restMs = place.endedAtMs + WALK_EVERY_MS - clockMs();
        const isRead = wanted.patient === true && restMs > 0;
        if (!isRead) await walkOn(options, tenant, inbox, place, picking, deadline);
        addOffered(inbox, picking);
        const { candidates, isFull, isRefused } = picking;
        if (isRead && candidates.length === 0) options.againIn(tenant, wanted, restMs);
        return { candidates, full: isFull, refused: isRefused, more: place.isMidway };
      }),

    again,

    returned(tenant, id) {
      inboxes.get(tenant)?.picked.delete(id);
      again(tenant);
    },

    offer({ id, tenant, source, type, createdAt, payload }) {
      const event = { source, type, createdAt };
      const offer = { event, bytes: Buffer.byteLength(payload), atMs: clockMs() };
      putLast(inboxOf(tenant).offered, id, offer, OFFERS);
    },
  };
}

/** For so long an event is left to the instance that has stored it. */
const STORERS: Micros = 300e3;
/** So long after that it is left to the one whose turn it is. */
const TURN: Micros = 500e3;

/**
 * The order in which instances with consumers that wait take events from the index, so that they do not fight for them: first the
 * one that has stored an event, which is offered to its consumers; then one that the event's id names, by rendezvous hashing; then all.
 *
 * @returns a function that tells in how many milliseconds it is this instance's turn.
 */
function createTurn({ me, others }: ReturnType<News['waitingWith']>, { offered }: Inbox, time: Micros) {
  if (others.length === 0) return undefined;
  return (id: string, createdAt: Micros): number => {
    if (offered.has(id)) return 0;
    const mine = weight(id, me);
    const isFirst = others.every((other) => weight(id, other) <= mine);
    return (createdAt + STORERS + (isFirst ? 0 : TURN) - time) / 1_000;
  };
}

/** FNV-1a (draft-eastlake-fnv), 32 bits. */
function weight(id: string, instance: string): number {
  let hash = 0x811c9dc5;
  for (const text of [instance, id]) {
    for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}

function newInbox(): Inbox {
  return { places: new Map(), picked: new Map(), offered: new Map() };
}

/** From the index, from where the last walk has ended. */
async function walkOn(
  options: CandidatesOptions,
  tenant: string,
  inbox: Inbox,
  place: Place,
  picking: Picking,
  deadline: Deadline,
): Promise<void> {
  const { reader, eventTtl, clockMs, againIn } = options;
  const { wanted, time } = picking;
  const oldest = timePosition(time - eventTtl + 1);
  const after = place.reached > oldest ? place.reached : oldest;
  const shards = Array.from({ length: options.readShards() }, (_, shard) => shardKey(tenant, shard));
  const { limit, source, type } = wanted;
  const filter = {
    freeAt: time - LEASE_SKEW,
    ...(source === undefined ? {} : { source }),
    ...(type === undefined ? {} : { type }),
  };
  const firstAsk = Math.ceil((2 * limit) / shards.length) + Math.ceil(inbox.picked.size / shards.length);
  const walk = walkInbox({ reader, shards, after, end: null, filter, firstAsk, deadline });
  const turn =
    wanted.patient === true ? createTurn(options.news.waitingWith(tenant), inbox, time) : undefined;
  let reached = walk.reached();
  let isDry = false;
  let left: { readonly reached: string; readonly ms: number } | undefined;
  while (!picking.isOver) {
    const entry = await walk.next();
    isDry = entry === undefined;
    if (entry === undefined) break;
    const { position, payloadBytes } = entry;
    const [id, createdAt] = [idOfPosition(position), timeOfPosition(position)];
    const ms = turn?.(id, createdAt) ?? 0;
    if (ms > 0) left = { reached: left?.reached ?? reached, ms: Math.min(left?.ms ?? ms, ms) };
    else if (!picking.add(id, createdAt, payloadBytes)) break;
    reached = walk.reached();
  }
  place.isMidway = isDry && (await walk.hasMore());
  if (isDry && !place.isMidway) place.endedAtMs = clockMs();
  // Entries that the filter leaves out are passed as well.
  if (isDry) reached = walk.reached();
  if (left !== undefined) againIn(tenant, wanted, Math.max(left.ms, WALK_EVERY_MS));
  const latest = timePosition(time - LATE_EVENTS);
  const passed = left?.reached ?? reached;
  place.reached = passed < latest ? passed : latest;
}

/** What one call picks. */
class Picking {
  readonly candidates: Candidate[] = [];
  readonly wanted: Wanted;
  readonly time: Micros;
  isRefused = false;
  readonly #picked: Map<string, PickedEvent>;
  readonly #atMs: number;
  readonly #eventTtl: Micros;
  readonly #take: (bytes: number) => boolean;
  #room: number;

  constructor(
    { picked }: Pick<Inbox, 'picked'>,
    wanted: Wanted,
    { time, atMs, eventTtl, room }: { time: Micros; atMs: number; eventTtl: Micros; room: number },
    take: (bytes: number) => boolean,
  ) {
    this.wanted = wanted;
    this.time = time;
    this.#picked = picked;
    this.#atMs = atMs;
    this.#eventTtl = eventTtl;
    this.#take = take;
    this.#room = room;
  }

  get isFull(): boolean {
    return this.#room <= 0;
  }

  get isOver(): boolean {
    return this.isRefused || this.isFull || this.candidates.length >= this.wanted.limit;
  }

  /** Picks the event, unless this instance has picked it before. Returns false if there is no room for it. */
  add(id: string, createdAt: Micros, bytes: number): boolean {
    if ((this.#picked.get(id)?.until ?? 0) > this.time) return true;
    this.isRefused = !this.#take(bytes);
    if (this.isRefused) return false;
    this.#room -= bytes;
    this.#picked.delete(id);
    this.#picked.set(id, { atMs: this.#atMs, until: this.time + this.wanted.leaseFor });
    this.candidates.push({ id, expiresAt: createdAt + this.#eventTtl });
    return true;
  }
}

/** Picks those that were offered and are wanted. Each offer is good for one try: after that the index is asked. */
function addOffered({ offered }: Inbox, picking: Picking): void {
  for (const [id, { event, bytes }] of offered) {
    if (picking.isOver) return;
    if (isWanted(event, picking.wanted) && picking.add(id, event.createdAt, bytes)) offered.delete(id);
  }
}

/** Where the walk begins: where the last one has ended, or at the head. */
function placeOf({ places }: Inbox, { source, type, leaseFor }: Wanted, time: Micros): Place {
  const key = JSON.stringify([source, type]);
  const known = places.get(key);
  const again = Math.min(AGAIN_MAX, Math.max(AGAIN_MIN, leaseFor / 10));
  if (known !== undefined && (known.isMidway || Math.abs(time - known.headAt) < again)) return known;
  const fresh = { reached: '', headAt: time, endedAtMs: -Infinity, isMidway: false };
  putLast(places, key, fresh, PLACES_OF_ONE);
  return fresh;
}

const PLACES_OF_ONE = 100;

/** Drops the entries that were put first, beyond so many. */
function putLast<Value>(entries: Map<string, Value>, key: string, value: Value, most: number): void {
  entries.delete(key);
  entries.set(key, value);
  for (const oldest of entries.keys()) {
    if (entries.size <= most) return;
    entries.delete(oldest);
  }
}

/** They are in the order of their times. */
function dropOld(entries: Map<string, { readonly atMs: number }>, nowMs: number): void {
  for (const [id, { atMs }] of entries) {
    if (atMs + INDEX_LAG_MS > nowMs) return;
    entries.delete(id);
  }
}
