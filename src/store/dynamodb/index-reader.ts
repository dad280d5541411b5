import type { Micros } from '../event.ts';
import type { Deadline } from './deadline.ts';
import { LEASE_INDEX } from './table-definitions.ts';
import type { Table } from './table.ts';

/** Reads one shard of the inbox index, which is eventually consistent and may lag behind the table. */
export interface IndexReader {
  /** Entries of the span, in order. Reads `limit` entries at most, before the filter. */
  query(shard: string, span: Span, limit: number, filter: Filter, deadline: Deadline): Promise<IndexPage>;
  /** Counts entries with a position after `after`. Reads `limit` entries at most. */
  count(shard: string, after: string, limit: number, deadline: Deadline): Promise<IndexCount>;
}

export interface Span {
  /** This position is not part of the span. */
  readonly after: string;
  /** Greater than `after`. This position is part of the span. Null: the span has no end. */
  readonly to: string | null;
}

export interface Filter {
  readonly source?: string;
  readonly type?: string;
  /** Only events whose `lease_until`, if they have one, is not after this time. */
  readonly freeAt?: Micros;
}

export interface IndexEntry {
  readonly position: string;
  readonly payloadBytes: number;
  /** Until when it is or was leased. Absent: it never was, or the index does not show leases. */
  readonly leaseUntil?: Micros;
}

export interface IndexPage {
  readonly entries: readonly IndexEntry[];
  /** The position up to which the shard was read; null: to its end. */
  readonly readTo: string | null;
  /** The number of entries read, including those that the filter left out. */
  readonly scanned: number;
}

export interface IndexCount {
  readonly count: number;
  readonly readTo: string | null;
}

/** @param index the name of the index to read now. */
export function createIndexReader(events: Table, index: () => string): IndexReader {
  const within = (shard: string, { after, to }: Span) => ({
    IndexName: index(),
    KeyConditionExpression: `inbox_shard = :shard AND inbox_position ${to === null ? '> :after' : 'BETWEEN :from AND :to'}`,
    ExpressionAttributeValues: {
      ':shard': shard,
      // A key takes only one condition, and BETWEEN includes both ends. No position lies between `after` and `after` with a `!`.
      ...(to === null ? { ':after': after } : { ':from': `${after}!`, ':to': to }),
    },
  });

  return {
    async query(shard, span, limit, { source, type, freeAt }, deadline) {
      const input = within(shard, span);
      const filters = [
        ...(source === undefined ? [] : ['#source = :source']),
        ...(type === undefined ? [] : ['event_type = :type']),
        ...(freeAt === undefined ? [] : ['(attribute_not_exists(lease_until) OR lease_until <= :free)']),
      ];
      const query = {
        ...input,
        ProjectionExpression: `inbox_position, payload_bytes${index() === LEASE_INDEX ? ', lease_until' : ''}`,
        ...(filters.length === 0 ? {} : { FilterExpression: filters.join(' AND ') }),
        ...(source === undefined ? {} : { ExpressionAttributeNames: { '#source': 'source' } }),
        ExpressionAttributeValues: {
          ...input.ExpressionAttributeValues,
          ...(source === undefined ? {} : { ':source': source }),
          ...(type === undefined ? {} : { ':type': type }),
          ...(freeAt === undefined ? {} : { ':free': freeAt }),
        },
        Limit: limit,
      };
      const { Items = [], LastEvaluatedKey, ScannedCount = 0 } = await events.query(query, deadline);
      return { entries: Items.map(toEntry), readTo: positionIn(LastEvaluatedKey), scanned: ScannedCount };
    },

    async count(shard, after, limit, deadline) {
      const query = { ...within(shard, { after, to: null }), Select: 'COUNT', Limit: limit } as const;
      const { Count = 0, LastEvaluatedKey } = await events.query(query, deadline);
      return { count: Count, readTo: positionIn(LastEvaluatedKey) };
    },
  };
}

function toEntry(item: Record<string, unknown>): IndexEntry {
  const { inbox_position: position, payload_bytes: bytes, lease_until: leaseUntil } = item;
  return {
    position: String(position),
    // A damaged size is detected when the event itself is read.
    payloadBytes: typeof bytes === 'number' ? bytes : 0,
    ...(typeof leaseUntil === 'number' && { leaseUntil }),
  };
}

function positionIn(key: Record<string, unknown> | undefined): string | null {
  return key === undefined ? null : String(key['inbox_position']);
}
