import { StoreOverloadedError } from '../store-errors.ts';
import { mayRetry, type Deadline } from './deadline.ts';
import { RETRY_COST } from './retries.ts';
import type { FoundItem, Table } from './table.ts';

/** The most keys that one BatchGetItem takes. */
const KEYS_PER_READ = 100;

/**
 * The items of these keys that exist, read consistently, in no order. Keys that come back unprocessed, because the answer was
 * full or the table throttles, are requested again after a growing pause, under the budget of retries, as the API reference
 * demands (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html).
 *
 * @returns rejects with a `StoreOverloadedError` when keys are left that may not be requested again.
 */
export async function getMany(
  table: Table,
  keys: readonly FoundItem[],
  deadline: Deadline,
): Promise<readonly FoundItem[]> {
  const found: FoundItem[] = [];
  for (let left = keys, tries = 0; left.length > 0; tries++) {
    const chunks = [];
    for (let at = 0; at < left.length; at += KEYS_PER_READ) chunks.push(left.slice(at, at + KEYS_PER_READ));
    const answers = await Promise.all(chunks.map((chunk) => table.batchGet(chunk, deadline)));
    for (const { items } of answers) found.push(...items);
    const unread = answers.flatMap(({ unprocessed }) => unprocessed);
    if (unread.length > 0 && !(await mayRetry(tries, deadline))) {
      throw new StoreOverloadedError('DynamoDB throttles reads');
    }
    // The budget is for requests that fail, and here there was progress.
    if (unread.length > 0 && unread.length < left.length) deadline.retries.give(RETRY_COST);
    left = unread;
  }
  return found;
}
