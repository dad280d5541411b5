import { setTimeout as sleep } from 'node:timers/promises';
import {
  BatchGetCommand,
  BatchWriteCommand,
  DeleteCommand,
  GetCommand,
  PutCommand,
  UpdateCommand,
  type DynamoDBDocumentClient,
} from '@aws-sdk/lib-dynamodb';
import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import type { Micros } from '../../events/event.ts';
import { insist, withDeadline, type Deadline } from './deadline.ts';
import { isConditionFailed } from './failure.ts';
import type { EventItem } from './item.ts';

/** A record as it was found, which need not be an `EventItem`. */
export type FoundItem = Readonly<Record<string, unknown>>;

/** Most keys that one BatchGetItem takes. */
const KEYS_PER_READ = 100;

const REREAD_PAUSE_MS = 20;

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
  { client, name }: EventsTable,
  ids: readonly string[],
  deadline: Deadline,
): Promise<ReadonlyMap<string, FoundItem>> {
  const found = new Map<string, FoundItem>();
  let keys: Record<string, unknown>[] = ids.map((id) => ({ event_id: id }));
  while (keys.length > 0) {
    const chunks = [];
    for (let at = 0; at < keys.length; at += KEYS_PER_READ) chunks.push(keys.slice(at, at + KEYS_PER_READ));
    const answers = await Promise.all(
      chunks.map((Keys) =>
        insist((abortSignal) => {
          const RequestItems = { [name]: { Keys, ConsistentRead: true } };
          return client.send(new BatchGetCommand({ RequestItems }), { abortSignal });
        }, deadline),
      ),
    );
    for (const { Responses } of answers) {
      for (const item of Responses?.[name] ?? []) found.set(String(item['event_id']), item);
    }
    const left = answers.flatMap(({ UnprocessedKeys }) => UnprocessedKeys?.[name]?.Keys ?? []);
    // Some of them read: only the answer was full. None: the table is short of capacity.
    if (left.length === keys.length) await sleep(REREAD_PAUSE_MS, undefined, { signal: deadline.signal });
    keys = left;
  }
  return found;
}

/** One try, without condition. Resolves with the items that were not put. */
export async function putItems(
  { client, name }: EventsTable,
  items: readonly EventItem[],
  budgetMs: number,
): Promise<readonly EventItem[]> {
  const puts = items.map((Item) => ({ PutRequest: { Item } }));
  const request = new BatchWriteCommand({ RequestItems: { [name]: puts } });
  const { UnprocessedItems } = await withDeadline(
    ({ signal }) => client.send(request, { abortSignal: signal }),
    budgetMs,
  );
  const unprocessed = UnprocessedItems?.[name] ?? [];
  const left = new Set<unknown>(unprocessed.map(({ PutRequest }): unknown => PutRequest?.Item?.['event_id']));
  return items.filter(({ event_id }) => left.has(event_id));
}

/** Puts the item unless it is there: ids are unique, so what is there is the item, put by an earlier try. */
export async function putItemOnce(
  { client, name }: EventsTable,
  item: EventItem,
  budgetMs: number,
): Promise<void> {
  const request = new PutCommand({
    TableName: name,
    Item: item,
    ConditionExpression: 'attribute_not_exists(event_id)',
  });
  try {
    await withDeadline(
      (deadline) => insist((abortSignal) => client.send(request, { abortSignal }), deadline),
      budgetMs,
    );
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
  }
}

export interface AcknowledgeRequest {
  readonly id: string;
  readonly tenant: string;
  readonly at: Micros;
  readonly horizon: Micros;
  /** Random. A repeated request knows by it that its own first try was carried out. */
  readonly token: string;
}

/**
 * Acknowledges the event if it is the tenant's, pending, and created after `horizon`.
 *
 * @returns the record afterwards, whether it was changed or not; undefined: there is none.
 */
export async function acknowledgeItem(
  events: EventsTable,
  { id, tenant, at, horizon, token }: AcknowledgeRequest,
  deadline: Deadline,
): Promise<FoundItem | undefined> {
  const request = new UpdateCommand({
    TableName: events.name,
    Key: { event_id: id },
    UpdateExpression:
      'SET #status = :acknowledged, acknowledged_at = :at, ack_token = :token REMOVE inbox_shard, inbox_position',
    ConditionExpression: 'tenant = :tenant AND #status = :pending AND created_at > :horizon',
    ExpressionAttributeNames: { '#status': 'status' },
    ExpressionAttributeValues: {
      ':acknowledged': 'acknowledged',
      ':pending': 'pending',
      ':tenant': tenant,
      ':at': at,
      ':horizon': horizon,
      ':token': token,
    },
    ReturnValues: 'ALL_NEW',
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  });
  try {
    const answer = await insist((abortSignal) => events.client.send(request, { abortSignal }), deadline);
    return answer.Attributes;
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
    // No item: there is none, or the engine does not return it (dynalite).
    return error.Item ? unmarshall(error.Item) : getItem(events, id, deadline);
  }
}

/** @returns whether there was an event of the tenant that was created after `horizon`. */
export async function removeItem(
  { client, name }: EventsTable,
  { id, tenant, horizon }: Pick<AcknowledgeRequest, 'id' | 'tenant' | 'horizon'>,
  deadline: Deadline,
): Promise<boolean> {
  const request = new DeleteCommand({
    TableName: name,
    Key: { event_id: id },
    ConditionExpression: 'tenant = :tenant AND created_at > :horizon',
    ExpressionAttributeValues: { ':tenant': tenant, ':horizon': horizon },
  });
  let answerLost = false;
  try {
    await insist((abortSignal, unsure) => {
      answerLost = unsure;
      return client.send(request, { abortSignal });
    }, deadline);
    return true;
  } catch (error) {
    // An earlier try without an answer has most likely removed it.
    if (isConditionFailed(error)) return answerLost;
    throw error;
  }
}

/** One try. Resolves when the table can be read. */
export async function probe({ client, name }: EventsTable, { signal }: Deadline): Promise<void> {
  const request = new GetCommand({ TableName: name, Key: { event_id: 'ping' }, ConsistentRead: true });
  await client.send(request, { abortSignal: signal });
}
