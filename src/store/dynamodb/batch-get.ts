import { BatchGetCommand, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { StoreOverloadedError } from '../store-errors.ts';
import { insist, mayRepeat, type Deadline } from './deadline.ts';
import type { FoundItem } from './events-table.ts';
import { RETRY_COST } from './retries.ts';

/** Most keys that one BatchGetItem takes. */
const KEYS_PER_READ = 100;

/**
 * What there is of the keys, read consistently, in no order. Keys that come back unprocessed, because the answer was full or
 * the table throttles, are asked for again after a pause that grows, under the budget of retries. The API reference asks for
 * just that (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html).
 *
 * @returns rejects with a `StoreOverloadedError` when keys are left that may not be asked for again.
 */
export async function batchGet(
  { client, name }: { readonly client: DynamoDBDocumentClient; readonly name: string },
  keys: readonly Record<string, unknown>[],
  deadline: Deadline,
): Promise<readonly FoundItem[]> {
  const found: FoundItem[] = [];
  for (let left = keys, tries = 0; left.length > 0; tries++) {
    const chunks = [];
    for (let at = 0; at < left.length; at += KEYS_PER_READ) chunks.push(left.slice(at, at + KEYS_PER_READ));
    const answers = await Promise.all(
      chunks.map((Keys) => {
        const RequestItems = { [name]: { Keys: [...Keys], ConsistentRead: true } };
        const request = new BatchGetCommand({ RequestItems });
        return insist((abortSignal) => client.send(request, { abortSignal }), deadline);
      }),
    );
    for (const { Responses } of answers) found.push(...(onlyTable(Responses) ?? []));
    const unread = answers.flatMap(({ UnprocessedKeys }) => onlyTable(UnprocessedKeys)?.Keys ?? []);
    if (unread.length > 0 && !(await mayRepeat(tries, deadline))) {
      throw new StoreOverloadedError('DynamoDB throttles reads');
    }
    // The budget is for what does not work: here there was progress.
    if (unread.length > 0 && unread.length < left.length) deadline.retries.give(RETRY_COST);
    left = unread;
  }
  return found;
}

/**
 * What an answer to a batch says of the one table that was asked. Not looked up by its name: an ARN may stand in the request
 * and the name in the answer.
 */
export function onlyTable<T>(answer: Readonly<Record<string, T>> | undefined): T | undefined {
  return answer && Object.values(answer)[0];
}
