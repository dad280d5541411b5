import type { Micros } from '../event.ts';
import { PAGE_PAYLOAD_BYTES } from '../event-store.ts';
import { LEASE_SKEW } from '../lease-store.ts';
import type { Deadline } from './deadline.ts';
import { idOfPosition, shardKey, timeOfPosition, timePosition } from './event-item.ts';
import type { IndexReader } from './index-reader.ts';
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
}

export interface Wanted {
  readonly limit: number;
  readonly leaseFor: Micros;
  readonly source?: string;
  readonly type?: string;
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
}

export interface CandidatesOptions {
  readonly reader: IndexReader;
  readonly readShards: () => number;
  readonly eventTtl: Micros;
  readonly now: () => Micros;
  /** Milliseconds that never go back. */
  readonly clockMs: () => number;
  readonly pagePayloadBytes?: number;
}

/** For so long the index may show an event as free that this instance has leased, in milliseconds. */
const INDEX_LAG_MS = 3_000;

/** An event may become visible so much later than one with a later time: clocks differ and the index lags. */
const LATE_EVENTS: Micros = 5e6;

/** From the head again after a tenth of the lease, in this span: leases that have run out are there. */
const AGAIN_MIN: Micros = 1e6;
const AGAIN_MAX: Micros = 10e6;

/** Inboxes whose position is remembered, by tenant and filter. */
const PLACES = 10_000;

/** How far an inbox has been handed out. */
interface Place {
  reached: string;
  /** When it was read from the head. */
  headAt: Micros;
}

interface Inbox {
  readonly places: Map<string, Place>;
  /** Events that this instance has picked: the index may show them as free for a moment. */
  readonly picked: Map<string, PickedEvent>;
}

interface PickedEvent {
  /** By `clockMs`. */
  readonly atMs: number;
  readonly until: Micros;
}

export function createCandidates(options: CandidatesOptions): Candidates {
  const { reader, eventTtl, now, clockMs } = options;
  const inboxes = new Map<string, Inbox>();
  // One walk for each tenant at a time: the next one leaves out what it has picked.
  const walks = createTurns(Infinity, 1);

  const inboxOf = (tenant: string): Inbox => {
    const inbox = inboxes.get(tenant) ?? {
      places: new Map<string, Place>(),
      picked: new Map<string, PickedEvent>(),
    };
    putLast(inboxes, tenant, inbox, PLACES);
    return inbox;
  };

  return {
    pick: (tenant, wanted, take, deadline) =>
      walks.run(tenant, async () => {
        const inbox = inboxOf(tenant);
        dropOld(inbox.picked, clockMs());
        const time = now();
        const oldest = timePosition(time - eventTtl + 1);
        const place = placeOf(inbox, wanted, time);
        const after = place.reached > oldest ? place.reached : oldest;
        const shards = Array.from({ length: options.readShards() }, (_, shard) => shardKey(tenant, shard));
        const { limit, source, type } = wanted;
        const walk = walkInbox({
          reader,
          shards,
          after,
          end: null,
          filter: {
            freeAt: time - LEASE_SKEW,
            ...(source === undefined ? {} : { source }),
            ...(type === undefined ? {} : { type }),
          },
          firstAsk: Math.ceil((2 * limit) / shards.length) + Math.ceil(inbox.picked.size / shards.length),
          deadline,
        });
        const candidates: Candidate[] = [];
        let room = options.pagePayloadBytes ?? PAGE_PAYLOAD_BYTES;
        let refused = false;
        let reached = walk.reached();
        while (candidates.length < limit && room > 0) {
          const entry = await walk.next();
          if (entry === undefined) break;
          const id = idOfPosition(entry.position);
          const isPicked = (inbox.picked.get(id)?.until ?? 0) > time;
          refused = !isPicked && !take(entry.payloadBytes);
          if (refused) break;
          reached = walk.reached();
          if (isPicked) continue;
          room -= entry.payloadBytes;
          inbox.picked.delete(id);
          inbox.picked.set(id, { atMs: clockMs(), until: time + wanted.leaseFor });
          candidates.push({ id, expiresAt: timeOfPosition(entry.position) + eventTtl });
        }
        const latest = timePosition(time - LATE_EVENTS);
        place.reached = reached < latest ? reached : latest;
        return { candidates, full: room <= 0, refused };
      }),

    returned(tenant, id) {
      const inbox = inboxes.get(tenant);
      inbox?.picked.delete(id);
      inbox?.places.clear();
    },
  };
}

/** Where the walk begins: where the last one has ended, or at the head. */
function placeOf({ places }: Inbox, { source, type, leaseFor }: Wanted, time: Micros): Place {
  const key = JSON.stringify([source, type]);
  const known = places.get(key);
  const again = Math.min(AGAIN_MAX, Math.max(AGAIN_MIN, leaseFor / 10));
  if (known !== undefined && Math.abs(time - known.headAt) < again) return known;
  const fresh = { reached: '', headAt: time };
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
function dropOld(picked: Map<string, PickedEvent>, nowMs: number): void {
  for (const [id, { atMs }] of picked) {
    if (atMs + INDEX_LAG_MS > nowMs) return;
    picked.delete(id);
  }
}
