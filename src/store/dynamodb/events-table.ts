import {
  DeleteCommand,
  GetCommand,
  PutCommand,
  UpdateCommand,
  type DynamoDBDocumentClient,
} from '@aws-sdk/lib-dynamodb';
import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import type { Micros } from '../event.ts';
import { batchGet, onlyTable } from './batch-get.ts';
import { batchPut } from './batch-put.ts';
import { insist, withDeadline, type Deadline } from './deadline.ts';
import { isConditionFailed } from './failure.ts';
import { isVisible, type EventItem, type Tombstone } from './event-item.ts';

/** A record as it was found, which need not be an `EventItem`. */
export type FoundItem = Readonly<Record<string, unknown>>;

/** The events table. All reads of it are consistent; what may be tried again is, until the deadline. */
export interface EventsTable {
  readonly client: DynamoDBDocumentClient;
  readonly name: string;
}

export async function getItem(
  { client, name }: EventsTable,
  id: string,
  deadline: Deadline,
): Promise<FoundItem | undefined> {
  const request = new GetCommand({ TableName: name, Key: { event_id: id }, ConsistentRead: true });
  const { Item } = await insist((abortSignal) => client.send(request, { abortSignal }), deadline);
  return Item;
}

/** What is there of the ids, by id. */
export async function getItems(
  events: EventsTable,
  ids: readonly string[],
  deadline: Deadline,
): Promise<ReadonlyMap<string, FoundItem>> {
  const keys = ids.map((id) => ({ event_id: id }));
  const items = await batchGet(events, keys, deadline);
  return new Map(items.map((item) => [String(item['event_id']), item]));
}

/** One try, without condition. Resolves with the items that were not put. */
export async function putItems(
  { client, name }: EventsTable,
  items: readonly EventItem[],
  budgetMs: number,
): Promise<readonly EventItem[]> {
  const request = batchPut(name, items);
  const { UnprocessedItems } = await withDeadline(
    ({ signal }) => client.send(request, { abortSignal: signal }),
    budgetMs,
  );
  const unprocessed = onlyTable(UnprocessedItems) ?? [];
  const left = new Set<unknown>(
    unprocessed.map(({ PutRequest }): unknown => PutRequest?.Item?.['event_id']?.S),
  );
  return items.filter(({ event_id }) => left.has(event_id));
}

/** Puts the item unless it, or its tombstone, is there: ids are unique, so an earlier try has put it, or somebody else. */
export async function putItemOnce(
  { client, name }: EventsTable,
  item: EventItem,
  deadline: Deadline,
): Promise<void> {
  const request = new PutCommand({
    TableName: name,
    Item: item,
    ConditionExpression: 'attribute_not_exists(event_id)',
  });
  try {
    await insist((abortSignal) => client.send(request, { abortSignal }), deadline);
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
  }
}

/** Whether an event of that id was ever put, be it removed since: claimed events leave a tombstone. */
export async function wasPut(events: EventsTable, id: string, deadline: Deadline): Promise<boolean> {
  return (await getAttributes(events, id, ['event_id'], deadline)) !== undefined;
}

async function getAttributes(
  { client, name }: EventsTable,
  id: string,
  attributes: readonly string[],
  deadline: Deadline,
): Promise<FoundItem | undefined> {
  const request = new GetCommand({
    TableName: name,
    Key: { event_id: id },
    ConsistentRead: true,
    ProjectionExpression: attributes.join(', '),
    ...(attributes.includes('#status') ? { ExpressionAttributeNames: { '#status': 'status' } } : {}),
  });
  const { Item } = await insist((abortSignal) => client.send(request, { abortSignal }), deadline);
  return Item;
}

export interface RemoveRequest {
  readonly id: string;
  readonly tenant: string;
  readonly horizon: Micros;
  /** Random. A repeated request knows by it that its own first try was carried out. */
  readonly token: string;
}

export interface AcknowledgeRequest extends RemoveRequest {
  readonly at: Micros;
}

/** The tenant's own, and not expired. A tombstone has none of these attributes. */
const VISIBLE = 'tenant = :tenant AND (created_at > :horizon OR kept_from > :horizon)';

/**
 * Acknowledges the event if it is the tenant's, pending, and created after `horizon`. Nothing of the event is moved for it.
 *
 * @returns `acknowledged`, by this request; otherwise what is there instead, with the attributes of `DECIDING_ATTRIBUTES` at least;
 *   undefined: nothing.
 */
export async function acknowledgeItem(
  events: EventsTable,
  { id, tenant, at, horizon, token }: AcknowledgeRequest,
  deadline: Deadline,
): Promise<'acknowledged' | FoundItem | undefined> {
  const request = new UpdateCommand({
    TableName: events.name,
    Key: { event_id: id },
    UpdateExpression:
      'SET #status = :acknowledged, acknowledged_at = :at, ack_token = :token REMOVE inbox_shard, inbox_position',
    ConditionExpression: `#status = :pending AND ${VISIBLE}`,
    ExpressionAttributeNames: { '#status': 'status' },
    ExpressionAttributeValues: {
      ':acknowledged': 'acknowledged',
      ':pending': 'pending',
      ':tenant': tenant,
      ':at': at,
      ':horizon': horizon,
      ':token': token,
    },
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  });
  try {
    await insist((abortSignal) => events.client.send(request, { abortSignal }), deadline);
    return 'acknowledged';
  } catch (error) {
    const found = await conflictingItem(error, () =>
      getAttributes(events, id, DECIDING_ATTRIBUTES, deadline),
    );
    return found?.['ack_token'] === token ? 'acknowledged' : found;
  }
}

/** All that tells why an event could not be acknowledged. None is a reserved word but `status`. */
const DECIDING_ATTRIBUTES = ['tenant', '#status', 'created_at', 'kept_from', 'acknowledged_at', 'ack_token'];

/**
 * Deletes the event; one that has a claim leaves a tombstone. Two requests then: the first is refused, and changes
 * nothing, on a claimed event. Nothing can come between that matters: whether an event is claimed never changes, and the
 * second request looks at all the rest once more.
 *
 * @returns whether there was an event of the tenant that had not expired by `horizon`.
 */
export async function removeItem(
  events: EventsTable,
  removal: RemoveRequest,
  deadline: Deadline,
): Promise<boolean> {
  const { id, tenant, horizon } = removal;
  const request = new DeleteCommand({
    TableName: events.name,
    Key: { event_id: id },
    ConditionExpression: `attribute_not_exists(claim_ttl) AND ${VISIBLE}`,
    ExpressionAttributeValues: { ':tenant': tenant, ':horizon': horizon },
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  });
  let answerLost = false;
  try {
    await insist((abortSignal, unsure) => {
      answerLost = unsure;
      return events.client.send(request, { abortSignal });
    }, deadline);
    return true;
  } catch (error) {
    const found = await conflictingItem(error, () => getItem(events, id, deadline));
    // An earlier try without an answer has most likely removed it.
    if (found === undefined) return answerLost;
    if (found['claim_ttl'] === undefined || !isVisible(found, tenant, horizon)) return false;
    return leaveTombstone(events, removal, deadline);
  }
}

/** All that an event has and its tombstone has not. */
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
] as const satisfies Exclude<keyof EventItem, keyof Tombstone>[];

async function leaveTombstone(
  events: EventsTable,
  { id, tenant, horizon, token }: RemoveRequest,
  deadline: Deadline,
): Promise<boolean> {
  const request = new UpdateCommand({
    TableName: events.name,
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
  });
  try {
    await insist((abortSignal) => events.client.send(request, { abortSignal }), deadline);
    return true;
  } catch (error) {
    const found = await conflictingItem(error, () => getItem(events, id, deadline));
    return found?.['remove_token'] === token;
  }
}

/**
 * The record that a failed condition met.
 *
 * @param read for engines that do not return it (dynalite); for the others when there is none.
 * @throws any other error.
 */
export async function conflictingItem(
  error: unknown,
  read: () => Promise<FoundItem | undefined>,
): Promise<FoundItem | undefined> {
  if (!(error instanceof ConditionalCheckFailedException)) throw error;
  return error.Item ? unmarshall(error.Item) : read();
}

/** One try. Resolves when the table can be read. */
export async function probe({ client, name }: EventsTable, { signal }: Deadline): Promise<void> {
  const request = new GetCommand({ TableName: name, Key: { event_id: 'ping' }, ConsistentRead: true });
  await client.send(request, { abortSignal: signal });
}
