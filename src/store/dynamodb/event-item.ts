import { crc32 } from 'node:zlib';
import type { Micros, StoredEvent } from '../event.ts';
import type { Quarantine } from '../lease-store.ts';
import { CorruptEventError } from '../store-errors.ts';
import type { Compression, Encoding, Packed } from './compression.ts';

/** An event's record in the events table. */
export interface EventItem {
  readonly event_id: string;
  readonly tenant: string;
  readonly status: 'pending' | 'acknowledged' | 'quarantined';
  readonly source?: string;
  readonly event_type: string;
  /** JSON text; compressed when there is a `payload_encoding`. */
  readonly payload: string | Uint8Array;
  readonly payload_encoding?: Encoding;
  /** Bytes of the JSON text in UTF-8. The index has it as well, so that a page is cut to size before its payloads are read. */
  readonly payload_bytes: number;
  readonly metadata?: string;
  readonly created_at: Micros;
  readonly acknowledged_at?: Micros;
  /** Seconds since the epoch, a day after the event expires. Readers use `created_at`; this only frees the space. */
  readonly ttl: number;
  /** Keys of the index. Only pending and quarantined events have them, so that the index contains no others. */
  readonly inbox_shard?: string;
  readonly inbox_position?: string;
  /** Token of the request that acknowledged, by which a repeated request recognizes its own first try. */
  readonly ack_token?: string;
  /** The current lease, running or not. It stays on an event that it acknowledged. */
  readonly lease_token?: string;
  /** The event is not free until this time: it is leased, or was given back with a delay. */
  readonly lease_until?: Micros;
  /** Leases so far that were not given back. */
  readonly attempts?: number;
  /** What came with the last release that had a reason. */
  readonly last_reason?: string;
  /** Token of the last request that settled a lease, or moved the event into quarantine or back. */
  readonly settle_token?: string;
  /** Always on claimed events: the `ttl` of the claim, and of the tombstone that the event leaves. */
  readonly claim_ttl?: number;
  /**
   * Lifetime and place in the inbox count from this time: on an event that was completed late, or was quarantined or redriven
   * then.
   */
  readonly kept_from?: Micros;
}

/**
 * What a removed event leaves while its claim may live, so that nobody takes the event for one that was never written. For every
 * reader it is an id without an event.
 */
export interface Tombstone {
  readonly event_id: string;
  readonly status: 'removed';
  readonly claim_ttl: number;
  readonly ttl: number;
  /** Token of the request that removed the event. */
  readonly remove_token: string;
}

export interface ItemOptions {
  /** The number of shards over which new events are spread. */
  readonly shards: number;
  readonly eventTtl: Micros;
}

/** What the record of an event with a claim needs to know. */
export interface ClaimedOptions {
  readonly claimExpiresAt: Micros;
  /** Null: as of `createdAt`. */
  readonly keptFrom: Micros | null;
}

export function toItem(
  event: StoredEvent,
  payload: string | Packed,
  payloadBytes: number,
  { shards, eventTtl }: ItemOptions,
  claimed?: ClaimedOptions,
): EventItem {
  const keptFrom = claimed?.keptFrom ?? event.createdAt;
  const keptUntil = keptFrom + eventTtl;
  return {
    event_id: event.id,
    tenant: event.tenant,
    status: event.acknowledgedAt === null ? 'pending' : 'acknowledged',
    event_type: event.type,
    ...(typeof payload === 'string'
      ? { payload }
      : { payload: payload.data, payload_encoding: payload.encoding }),
    payload_bytes: payloadBytes,
    created_at: event.createdAt,
    // An event stays while its claim lives, even when it has expired: if it were missing it would count as never written.
    ttl: physicalTtl(Math.max(keptUntil, claimed?.claimExpiresAt ?? 0)),
    ...(claimed ? { claim_ttl: physicalTtl(claimed.claimExpiresAt) } : {}),
    ...(keptFrom === event.createdAt ? {} : { kept_from: keptFrom }),
    ...(event.source === null ? {} : { source: event.source }),
    ...(event.metadata === null ? {} : { metadata: event.metadata }),
    ...(event.acknowledgedAt === null
      ? {
          inbox_shard: shardKey(event.tenant, shardOf(event.id, shards)),
          inbox_position: positionOf(keptFrom, event.id),
        }
      : { acknowledged_at: event.acknowledgedAt }),
  };
}

/**
 * Seconds since the epoch, a day after the logical end. By then no request that saw the item alive is under way, and clocks that
 * differ agree that it has ended.
 */
export function physicalTtl(end: Micros): number {
  return Math.ceil(end / 1e6) + TTL_MARGIN_SECONDS;
}

const TTL_MARGIN_SECONDS = 86_400;

/** @returns rejects with a `CorruptEventError` when `toItem` does not make such records. */
export async function fromItem(
  item: Readonly<Record<string, unknown>>,
  compression: Compression,
): Promise<StoredEvent> {
  const { event_id: id, tenant, source = null, event_type: type, metadata = null } = item;
  const { created_at: createdAt, acknowledged_at: acknowledgedAt = null } = item;
  const broken = (what: string, cause?: unknown) =>
    new CorruptEventError(`event ${String(id)}: ${what} is damaged`, { cause });
  if (typeof id !== 'string') throw broken('event_id');
  if (typeof tenant !== 'string') throw broken('tenant');
  if (typeof type !== 'string') throw broken('event_type');
  if (source !== null && typeof source !== 'string') throw broken('source');
  if (metadata !== null && typeof metadata !== 'string') throw broken('metadata');
  if (!isTime(createdAt)) throw broken('created_at');
  if (acknowledgedAt !== null && !isTime(acknowledgedAt)) throw broken('acknowledged_at');
  const quarantine = quarantineOf(item);
  if (quarantine !== undefined && !isTime(quarantine.since)) throw broken('kept_from');
  const status = quarantine === undefined ? 'pending' : 'quarantined';
  if (item['status'] !== (acknowledgedAt === null ? status : 'acknowledged')) throw broken('status');
  const payload = await readPayload(item, compression).catch((error: unknown) => {
    throw broken('payload', error);
  });
  const event = { id, tenant, source, type, payload, metadata, createdAt, acknowledgedAt };
  return quarantine === undefined ? event : { ...event, quarantine };
}

function quarantineOf(item: Readonly<Record<string, unknown>>): Quarantine | undefined {
  if (item['status'] !== 'quarantined') return undefined;
  const { kept_from: since, attempts, last_reason: reason } = item;
  return {
    since: Number(since),
    attempts: Number(attempts ?? 0),
    lastReason: typeof reason === 'string' ? reason : null,
  };
}

/** Until when the event is leased; undefined: no lease of it runs at that time. */
export function leasedUntil(item: Readonly<Record<string, unknown>>, now: Micros): Micros | undefined {
  const { status, lease_token: lease, lease_until: until } = item;
  return status === 'pending' && lease !== undefined && isTime(until) && until > now ? until : undefined;
}

/** Whether the record is an event that the tenant may see. A damaged one counts, so that its reader learns of the damage. */
export function isVisible(
  item: Readonly<Record<string, unknown>> | undefined,
  tenant: string,
  horizon: Micros,
): item is Readonly<Record<string, unknown>> {
  if (item === undefined || item['status'] === 'removed') return false;
  if (typeof item['tenant'] === 'string' && item['tenant'] !== tenant) return false;
  return !(Number(item['kept_from'] ?? item['created_at']) <= horizon);
}

/**
 * When the event was acknowledged, from a record of which only this is checked. Null: it is pending or in quarantine.
 *
 * @throws a `CorruptEventError` when the record does not say.
 */
export function acknowledgedAtOf(id: string, item: Readonly<Record<string, unknown>>): Micros | null {
  const { tenant, status, acknowledged_at: acknowledgedAt } = item;
  if (typeof tenant === 'string' && status === 'acknowledged' && isTime(acknowledgedAt))
    return acknowledgedAt;
  const isOpen = status === 'pending' || status === 'quarantined';
  if (typeof tenant === 'string' && isOpen && acknowledgedAt === undefined) return null;
  throw new CorruptEventError(`event ${id}: tenant, status or acknowledged_at is damaged`);
}

async function readPayload(
  { tenant, payload, payload_encoding: encoding, payload_bytes: bytes }: Readonly<Record<string, unknown>>,
  compression: Compression,
): Promise<string> {
  if (typeof bytes !== 'number') throw new TypeError('no payload_bytes');
  const packed = payload instanceof Uint8Array && (encoding === 'deflate' || encoding === 'br');
  const text = packed
    ? await compression.unpack({ data: payload, encoding }, bytes, String(tenant))
    : payload;
  if (typeof text !== 'string') throw new TypeError('no payload');
  const length = Buffer.byteLength(text);
  if (length !== bytes) throw new RangeError(`${String(length)} bytes instead of ${String(bytes)}`);
  return text;
}

function isTime(value: unknown): value is Micros {
  return Number.isSafeInteger(value);
}

/** No tenant's name contains `#`. */
export function shardKey(tenant: string, shard: number): string {
  return `${tenant}#${String(shard)}`;
}

/** Quarantined events are in the index beside the inbox. */
export function quarantineShardKey(tenant: string, shard: number): string {
  return `${tenant}#q${String(shard)}`;
}

export function shardOf(id: string, shards: number): number {
  return crc32(id) % shards;
}

/** Sorts by time, then by id. 16 digits are enough until the year 2286. */
export function positionOf(createdAt: Micros, id: string): string {
  return `${timePosition(createdAt)}#${id}`;
}

/** Sorts before every position of this time, and after every position of an earlier time. */
export function timePosition(createdAt: Micros): string {
  return String(createdAt).padStart(16, '0');
}

export function timeOfPosition(position: string): Micros {
  return Number(position.slice(0, 16));
}

export function idOfPosition(position: string): string {
  return position.slice(17);
}
