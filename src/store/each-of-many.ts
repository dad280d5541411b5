import type { Failed } from './event-store.ts';
import { StoreOverloadedError } from './store-errors.ts';

/**
 * A call for many items, made of a call for each. Resolves with what came of each, in order; rejects with the error of the first
 * when every one was refused with a `StoreOverloadedError`.
 */
export async function eachOfMany<Item, Result>(
  items: readonly Item[],
  call: (item: Item) => Promise<Result>,
): Promise<readonly (Result | Failed)[]> {
  const settled = await Promise.allSettled(items.map(call));
  const results = settled.map((one) =>
    one.status === 'fulfilled' ? one.value : ({ outcome: 'failed', error: asError(one.reason) } as const),
  );
  const refused = settled.every(
    (one) => one.status === 'rejected' && one.reason instanceof StoreOverloadedError,
  );
  if (refused && settled[0]?.status === 'rejected') throw asError(settled[0].reason);
  return results;
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
