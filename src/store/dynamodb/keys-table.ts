import {
  GetCommand,
  PutCommand,
  ScanCommand,
  UpdateCommand,
  type DynamoDBDocumentClient,
} from '@aws-sdk/lib-dynamodb';
import { batchGet } from './batch-get.ts';
import { insist, type Deadline } from './deadline.ts';
import type { FoundItem } from './events-table.ts';
import { isConditionFailed } from './failure.ts';

/** The table of API keys, by `key_id` alone. All reads are consistent; what may be tried again is, until the deadline. */
export interface KeysTable {
  readonly client: DynamoDBDocumentClient;
  readonly name: string;
}

export async function getKey(
  { client, name }: KeysTable,
  keyId: string,
  deadline: Deadline,
): Promise<FoundItem | undefined> {
  const request = new GetCommand({ TableName: name, Key: { key_id: keyId }, ConsistentRead: true });
  const { Item } = await insist((abortSignal) => client.send(request, { abortSignal }), deadline);
  return Item;
}

/** What is there of the ids. */
export function getKeys(
  table: KeysTable,
  keyIds: readonly string[],
  deadline: Deadline,
): Promise<readonly FoundItem[]> {
  const keys = keyIds.map((keyId) => ({ key_id: keyId }));
  return batchGet(table, keys, deadline);
}

/** @returns false: there is a record with this id already. */
export async function putNewKey(
  table: KeysTable,
  item: FoundItem & { readonly key_id: string },
  deadline: Deadline,
): Promise<boolean> {
  const request = new PutCommand({
    TableName: table.name,
    Item: item,
    ConditionExpression: 'attribute_not_exists(key_id)',
  });
  try {
    await insist((abortSignal) => table.client.send(request, { abortSignal }), deadline);
    return true;
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
    // Perhaps by an earlier try whose answer was lost: with its salt, every hash is unique.
    const there = await getKey(table, item.key_id, deadline);
    return there?.['key_hash'] === item['key_hash'];
  }
}

/**
 * Sets attributes of a record that exists.
 *
 * @param condition what must hold besides; it may use `#name` and `:name` of each attribute.
 * @returns the record afterwards; undefined: there is none, or the condition does not hold.
 */
export async function updateKey(
  { client, name: table }: KeysTable,
  keyId: string,
  { set, condition }: { readonly set: FoundItem; readonly condition?: string },
  deadline: Deadline,
): Promise<FoundItem | undefined> {
  const names = Object.keys(set);
  const request = new UpdateCommand({
    TableName: table,
    Key: { key_id: keyId },
    UpdateExpression: `SET ${names.map((name) => `#${name} = :${name}`).join(', ')}`,
    ConditionExpression: ['attribute_exists(key_id)', ...(condition ? [condition] : [])].join(' AND '),
    ExpressionAttributeNames: Object.fromEntries(names.map((name) => [`#${name}`, name])),
    ExpressionAttributeValues: Object.fromEntries(names.map((name) => [`:${name}`, set[name]])),
    ReturnValues: 'ALL_NEW',
  });
  try {
    const { Attributes } = await insist((abortSignal) => client.send(request, { abortSignal }), deadline);
    return Attributes;
  } catch (error) {
    if (isConditionFailed(error)) return undefined;
    throw error;
  }
}

/**
 * All records. The one place that scans, for the command line: to Query for a list, all keys would have to be in one
 * partition of an index, and the engines that speak DynamoDB's protocol all have Scan.
 */
export async function scanKeys(
  { client, name }: KeysTable,
  deadline: Deadline,
): Promise<readonly FoundItem[]> {
  const found: FoundItem[] = [];
  let next: Record<string, unknown> | undefined;
  do {
    const request = new ScanCommand({ TableName: name, ConsistentRead: true, ExclusiveStartKey: next });
    const answer = await insist((abortSignal) => client.send(request, { abortSignal }), deadline);
    found.push(...(answer.Items ?? []));
    next = answer.LastEvaluatedKey;
  } while (next);
  return found;
}
