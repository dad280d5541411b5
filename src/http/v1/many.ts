import type { Failed } from '../../store/event-store.ts';
import { StoreUnavailableError } from '../../store/store-errors.ts';
import type { Reply } from '../reply.ts';
import { toRequestError, unavailable, validationError, type RequestError } from '../request-error.ts';
import type { Control } from '../route.ts';
import { within } from '../within.ts';

/** What came of one item of a call for many. */
export interface ItemResult {
  readonly outcome: string;
  /** More members of the result: JSON text, each member behind a comma. */
  readonly members?: string;
  /** Of an item that is not good: `failureText`. */
  readonly failure?: string;
}

/** The reply to a call for many items: 200 if all are good, else 207. */
export function manyReply(results: readonly ItemResult[], requestId: string): Reply {
  const summary: Record<string, number> = {};
  let good = true;
  for (const { outcome, failure } of results) {
    summary[outcome] = (summary[outcome] ?? 0) + 1;
    if (failure !== undefined) good = false;
  }
  return {
    status: good ? 200 : 207,
    body: `{"results":${resultsText(results)},"summary":${JSON.stringify(summary)},"request_id":"${requestId}"}`,
  };
}

/** As JSON text. */
export function resultsText(results: readonly ItemResult[]): string {
  return `[${results.map(resultText).join(',')}]`;
}

function resultText({ outcome, members = '', failure = '' }: ItemResult, index: number): string {
  return `{"index":${String(index)},"outcome":"${outcome}"${members}${failure}}`;
}

/**
 * Members of a result as JSON text, each behind a comma. It is made where the item is looked at, in its part of a slice: 500 errors
 * with all their details are 5 MB, which take 30 ms together.
 *
 * @param retryable whether the same may succeed later.
 */
export function failureText({ code, message, details }: RequestError, retryable: boolean): string {
  const text = JSON.stringify({ code, message, ...(details && { details }) });
  return `,"error":${text},"retryable":${String(retryable)}`;
}

/** The store ends its calls within 2 s. */
export const STORE_MS = 2_200;

/** What is left for the reply. */
export const REPLY_MS = 800;

/**
 * Counts a call for many items and asks the store.
 *
 * @param late is called when there is no answer in time, which may still come.
 * @throws a `RequestError` before the store is asked: over the limit of the key, or nobody to answer any more.
 */
export async function askStore<T>(
  control: Control,
  items: number,
  ask: () => Promise<T>,
  late: (answer: Promise<T>) => T,
): Promise<T> {
  control.charge(items - 1);
  if (!control.prolong(STORE_MS + REPLY_MS)) throw tooLong();
  const answer = ask();
  return within(answer, STORE_MS, () => late(answer));
}

export function tooLong(): RequestError {
  return unavailable('this takes too long at the moment; try again');
}

/** Of an item of which nobody knows when the time is up. */
export function unanswered(): Failed {
  return { outcome: 'failed', error: new StoreUnavailableError('no answer from the store in time') };
}

/**
 * Has the store carry out a call for many items. Once it was asked a 503 would be a lie, so that items of which nobody knows are
 * `failed`. Throws as `askStore` does.
 */
export function carryOut<Result>(
  control: Control,
  items: number,
  call: () => Promise<readonly (Result | Failed)[]>,
): Promise<readonly (Result | Failed)[]> {
  return askStore(control, items, call, () => Array.from({ length: items }, unanswered));
}

/**
 * Has the store carry out a call for these items, and replies with what came of each.
 *
 * @param toResult tells what came of an item.
 */
export async function replyForEach<Item, Result>(
  { control, requestId }: { readonly control: Control; readonly requestId: string },
  items: readonly Item[],
  call: () => Promise<readonly (Result | Failed)[]>,
  toResult: (item: Item, result: Result | Failed) => ItemResult,
): Promise<Reply> {
  const results = await carryOut(control, items.length, call);
  return manyReply(
    items.map((item, index) => toResult(item, at(results, index))),
    requestId,
  );
}

/** An item of which nobody knows, or which a fault of ours kept from being done. */
export function failedItem({ error }: Failed): ItemResult {
  const told = toRequestError(error);
  return {
    outcome: 'failed',
    failure: failureText(told, told.code === 'SERVICE_UNAVAILABLE'),
  };
}

/** Ids of events in lower case. @throws a `RequestError` that names the ones that came before. */
export function distinctIds(sent: readonly string[]): readonly string[] {
  return distinct(
    sent.map((id) => id.toLowerCase()),
    (index) => `event_ids.${String(index)}`,
  );
}

/**
 * @param field names the place of an item.
 * @throws a `RequestError` that names the items that came before.
 */
export function distinct(items: readonly string[], field: (index: number) => string): readonly string[] {
  const seen = new Set<string>();
  const twice: number[] = [];
  for (const [index, item] of items.entries()) {
    if (seen.has(item)) twice.push(index);
    else seen.add(item);
  }
  if (twice.length === 0) return items;
  throw validationError(
    twice.map((index) => ({ field: field(index), message: 'has come before in this call' })),
  );
}

export function at<Item>(items: readonly Item[], index: number): Item {
  const item = items[index];
  if (item === undefined) throw new TypeError('the store has not answered for each item');
  return item;
}
