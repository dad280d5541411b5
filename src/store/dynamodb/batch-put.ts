import { BatchWriteItemCommand } from '@aws-sdk/client-dynamodb';
import type { EventItem } from './event-item.ts';

/**
 * A BatchWriteItem that puts the items. Its body is written here, because the SDK goes through all attributes three times, to
 * copy, to convert and to encode them, which is an eighth of the cost of an event (docs/performance.md). The SDK does the rest
 * of the request.
 *
 * @param reportsUnits whether the answer says how many capacity units were consumed.
 */
export function batchPut(
  table: string,
  items: readonly EventItem[],
  reportsUnits: boolean,
): BatchWriteItemCommand {
  const command = new BatchWriteItemCommand({ RequestItems: { [table]: [] } });
  command.middlewareStack.add(
    (next) => (args) => {
      (args.request as { body: unknown }).body = Buffer.from(batchPutBody(table, items, reportsUnits));
      return next(args);
    },
    // After the SDK has encoded the body, and before Content-Length and the signature are made from it.
    { name: 'batchPutBody', step: 'build', priority: 'high' },
  );
  return command;
}

/**
 * @returns JSON text, as BatchWriteItem and AttributeValue are defined in the DynamoDB API reference
 * (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html).
 */
export function batchPutBody(table: string, items: readonly EventItem[], reportsUnits = false): string {
  const units = reportsUnits ? ',"ReturnConsumedCapacity":"TOTAL"' : '';
  return `{"RequestItems":{${JSON.stringify(table)}:[${items.map(putRequest).join(',')}]}${units}}`;
}

function putRequest(item: EventItem): string {
  let attributes = '';
  for (const name in item) {
    const value = item[name as keyof EventItem];
    if (value === undefined) continue;
    if (attributes !== '') attributes += ',';
    attributes += `"${name}":${attributeValue(value)}`;
  }
  return `{"PutRequest":{"Item":{${attributes}}}}`;
}

function attributeValue(value: string | number | Uint8Array): string {
  if (typeof value === 'string') return `{"S":${JSON.stringify(value)}}`;
  if (typeof value === 'number') return `{"N":"${String(value)}"}`;
  const { buffer, byteOffset, byteLength } = value;
  return `{"B":"${Buffer.from(buffer, byteOffset, byteLength).toString('base64')}"}`;
}
