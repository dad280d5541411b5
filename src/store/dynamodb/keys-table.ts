import { getMany } from './batch-get.ts';
import type { Deadline } from './deadline.ts';
import type { FoundItem, Table } from './table.ts';

/** Reads from the table of API keys, whose key is `key_id`. */
export function getKey(keys: Table, keyId: string, deadline: Deadline): Promise<FoundItem | undefined> {
  return keys.get({ Key: { key_id: keyId } }, deadline);
}

/** The items of these ids that exist, in no order. */
export function getKeys(
  keys: Table,
  keyIds: readonly string[],
  deadline: Deadline,
): Promise<readonly FoundItem[]> {
  return getMany(
    keys,
    keyIds.map((keyId) => ({ key_id: keyId })),
    deadline,
  );
}

/** @returns false when there is a record with this id already. */
export async function putNewKey(
  keys: Table,
  item: FoundItem & { readonly key_id: string },
  deadline: Deadline,
): Promise<boolean> {
  const put = { Item: item, ConditionExpression: 'attribute_not_exists(key_id)' };
  const { written } = await keys.put(put, deadline);
  if (written) return true;
  // An earlier try whose answer was lost may have put it. Every hash is unique because of its salt.
  const there = await getKey(keys, item.key_id, deadline);
  return there?.['key_hash'] === item['key_hash'];
}

/**
 * Sets attributes of a record that exists.
 *
 * @param condition a further condition, which may use `#name` and `:name` of each attribute.
 * @returns the record afterwards; undefined when there is none or the condition does not hold.
 */
export async function updateKey(
  keys: Table,
  keyId: string,
  { set, condition }: { readonly set: FoundItem; readonly condition?: string },
  deadline: Deadline,
): Promise<FoundItem | undefined> {
  const names = Object.keys(set);
  const update = {
    Key: { key_id: keyId },
    UpdateExpression: `SET ${names.map((name) => `#${name} = :${name}`).join(', ')}`,
    ConditionExpression: ['attribute_exists(key_id)', ...(condition ? [condition] : [])].join(' AND '),
    ExpressionAttributeNames: Object.fromEntries(names.map((name) => [`#${name}`, name])),
    ExpressionAttributeValues: Object.fromEntries(names.map((name) => [`:${name}`, set[name]])),
    ReturnValues: 'ALL_NEW',
  } as const;
  const result = await keys.update(update, deadline);
  return result.written ? result.attributes : undefined;
}

/**
 * All records. This is the one place that scans, for the command line: to Query for a list, all keys would have to be in one
 * partition of an index, and every engine that speaks DynamoDB's protocol has Scan.
 */
export async function scanKeys(keys: Table, deadline: Deadline): Promise<readonly FoundItem[]> {
  const found: FoundItem[] = [];
  let next: Record<string, unknown> | undefined;
  do {
    const answer = await keys.scan({ ExclusiveStartKey: next }, deadline);
    found.push(...(answer.Items ?? []));
    next = answer.LastEvaluatedKey;
  } while (next);
  return found;
}
