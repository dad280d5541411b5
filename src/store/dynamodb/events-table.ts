import type { Micros } from '../event.ts';
import { getMany } from './batch-get.ts';
import { withDeadline, type Deadline } from './deadline.ts';
import { isVisible, type EventItem, type Tombstone } from './event-item.ts';
import type { FoundItem, Table } from './table.ts';

/** Reads from the events table, whose key is `event_id`. */
export function getItem(events: Table, id: string, deadline: Deadline): Promise<FoundItem | undefined> {
  return events.get({ Key: { event_id: id } }, deadline);
}

/** The items of these ids that exist, by id. */
export async function getItems(
  events: Table,
  ids: readonly string[],
  deadline: Deadline,
): Promise<ReadonlyMap<string, FoundItem>> {
  const keys = ids.map((id) => ({ event_id: id }));
  const items = await getMany(events, keys, deadline);
  return new Map(items.map((item) => [String(item['event_id']), item]));
}

/** Puts items in one try, without conditions. Resolves with the items that were not put. */
export function putItems(
  events: Table,
  items: readonly EventItem[],
  budgetMs: number,
): Promise<readonly EventItem[]> {
  return withDeadline((deadline) => events.batchPut(items, deadline), budgetMs);
}

/** Puts the item unless it or its tombstone exists. Ids are unique, so an earlier try has put it then, or another instance. */
export async function putItemOnce(events: Table, item: EventItem, deadline: Deadline): Promise<void> {
  await events.put({ Item: item, ConditionExpression: 'attribute_not_exists(event_id)' }, deadline);
}

/** Whether an event with that id was ever put, even if it was removed since: claimed events leave a tombstone. */
export async function wasPut(events: Table, id: string, deadline: Deadline): Promise<boolean> {
  return (await getAttributes(events, id, ['event_id'], deadline)) !== undefined;
}

function getAttributes(
  events: Table,
  id: string,
  attributes: readonly string[],
  deadline: Deadline,
): Promise<FoundItem | undefined> {
  const input = {
    Key: { event_id: id },
    ProjectionExpression: attributes.join(', '),
    ...(attributes.includes('#status') ? { ExpressionAttributeNames: { '#status': 'status' } } : {}),
  };
  return events.get(input, deadline);
}

export interface RemoveRequest {
  readonly id: string;
  readonly tenant: string;
  readonly horizon: Micros;
  /** Random. By it a repeated request recognizes that its own first try was carried out. */
  readonly token: string;
}

export interface AcknowledgeRequest extends RemoveRequest {
  readonly at: Micros;
  /** Only unless a lease runs at this time; null: in any case. */
  readonly unlessLeasedAt: Micros | null;
}

/** The event is the tenant's and has not expired by `:horizon`. A tombstone has none of these attributes. */
export const VISIBLE = 'tenant = :tenant AND (created_at > :horizon OR kept_from > :horizon)';

/**
 * Acknowledges the event if it is the tenant's, pending or in quarantine, and kept from after `horizon`. The payload is not
 * transferred. A lease of it is over.
 *
 * @returns `acknowledged` when this request did it; otherwise the item that exists instead, with at least the attributes of
 *   `DECIDING_ATTRIBUTES`; undefined when there is none.
 */
export async function acknowledgeItem(
  events: Table,
  { id, tenant, at, horizon, token, unlessLeasedAt }: AcknowledgeRequest,
  deadline: Deadline,
): Promise<'acknowledged' | FoundItem | undefined> {
  const update = {
    Key: { event_id: id },
    UpdateExpression:
      'SET #status = :acknowledged, acknowledged_at = :at, ack_token = :token ' +
      `REMOVE inbox_shard, inbox_position, ${LEASE_ATTRIBUTES.join(', ')}`,
    ConditionExpression:
      `(#status = :pending OR #status = :quarantined) AND ${VISIBLE}` +
      (unlessLeasedAt === null ? '' : ' AND (attribute_not_exists(lease_token) OR lease_until <= :now)'),
    ExpressionAttributeNames: { '#status': 'status' },
    ExpressionAttributeValues: {
      ':acknowledged': 'acknowledged',
      ':pending': 'pending',
      ':quarantined': 'quarantined',
      ...(unlessLeasedAt === null ? {} : { ':now': unlessLeasedAt }),
      ':tenant': tenant,
      ':at': at,
      ':horizon': horizon,
      ':token': token,
    },
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  } as const;
  const result = await events.update(update, deadline);
  if (result.written) return 'acknowledged';
  const found = result.found ?? (await getAttributes(events, id, DECIDING_ATTRIBUTES, deadline));
  return found?.['ack_token'] === token ? 'acknowledged' : found;
}

/** The attributes that show why an event could not be acknowledged. Only `status` is a reserved word. */
const DECIDING_ATTRIBUTES = [
  ...['tenant', '#status', 'created_at', 'kept_from', 'acknowledged_at', 'ack_token'],
  ...['lease_token', 'lease_until'],
];

/** What leases leave on an event. */
const LEASE_ATTRIBUTES = ['lease_token', 'lease_until', 'attempts', 'last_reason', 'settle_token'] as const;

/**
 * Deletes the event; a claimed event leaves a tombstone. That takes two requests: the first one fails on a claimed event and
 * changes nothing. Nothing that happens between the two matters: whether an event is claimed never changes, and the second
 * request checks the rest again.
 *
 * @returns whether there was an event of the tenant that had not expired by `horizon`.
 */
export async function removeItem(
  events: Table,
  removal: RemoveRequest,
  deadline: Deadline,
): Promise<boolean> {
  const { id, tenant, horizon } = removal;
  const input = {
    Key: { event_id: id },
    ConditionExpression: `attribute_not_exists(claim_ttl) AND ${VISIBLE}`,
    ExpressionAttributeValues: { ':tenant': tenant, ':horizon': horizon },
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  } as const;
  const result = await events.delete(input, deadline);
  if (result.written) return true;
  const found = result.found ?? (await getItem(events, id, deadline));
  // An earlier try without an answer has most likely removed it.
  if (found === undefined) return result.maybeWritten;
  if (found['claim_ttl'] === undefined || !isVisible(found, tenant, horizon)) return false;
  return leaveTombstone(events, removal, deadline);
}

/** All attributes that an event has and its tombstone has not. */
const REMOVED_ATTRIBUTES = [
  ...[
    'tenant',
    'source',
    'event_type',
    'payload',
    'payload_encoding',
    'payload_bytes',
    'metadata',
    'created_at',
  ],
  ...['acknowledged_at', 'kept_from', 'inbox_shard', 'inbox_position', 'ack_token'],
  ...LEASE_ATTRIBUTES,
] as const satisfies Exclude<keyof EventItem, keyof Tombstone>[];

async function leaveTombstone(
  events: Table,
  { id, tenant, horizon, token }: RemoveRequest,
  deadline: Deadline,
): Promise<boolean> {
  const update = {
    Key: { event_id: id },
    UpdateExpression:
      'SET #status = :removed, remove_token = :token, #ttl = claim_ttl ' +
      `REMOVE ${REMOVED_ATTRIBUTES.map((name) => `#${name}`).join(', ')}`,
    ConditionExpression: `attribute_exists(claim_ttl) AND ${VISIBLE}`,
    ExpressionAttributeNames: Object.fromEntries(
      ['status', 'ttl', ...REMOVED_ATTRIBUTES].map((name) => [`#${name}`, name]),
    ),
    ExpressionAttributeValues: {
      ':removed': 'removed',
      ':tenant': tenant,
      ':horizon': horizon,
      ':token': token,
    },
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  } as const;
  const result = await events.update(update, deadline);
  if (result.written) return true;
  const found = result.found ?? (await getItem(events, id, deadline));
  return found?.['remove_token'] === token;
}

/** Resolves when the table can be read. */
export async function probe(events: Table, deadline: Deadline): Promise<void> {
  await getItem(events, 'ping', deadline);
}
