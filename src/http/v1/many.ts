import type { Failed } from '../../store/event-store.ts';
import { StoreUnavailableError } from '../../store/store-errors.ts';
import type { Reply } from '../reply.ts';
import { toRequestError, unavailable, type RequestError } from '../request-error.ts';
import type { Control } from '../route.ts';

/** What came of one item of a call for many. */
export interface ItemResult {
  readonly outcome: string;
  /** More members of the result: JSON text, each member behind a comma. */
  readonly members?: string;
  /** Of an item that is not good: `failureText`. */
  readonly failure?: string;
}

/** The reply to a call for many items: 200 if all are good, else 207. */
export function manyReply(results: readonly ItemResult[], requestId: string, more = ''): Reply {
  const summary: Record<string, number> = {};
  let good = true;
  for (const { outcome, failure } of results) {
    summary[outcome] = (summary[outcome] ?? 0) + 1;
    if (failure !== undefined) good = false;
  }
  return {
    status: good ? 200 : 207,
    body: `{"results":${resultsText(results)},"summary":${JSON.stringify(summary)}${more},"request_id":"${requestId}"}`,
  };
}

/** JSON text of the results, in their order. */
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
const STORE_MS = 2_200;

/** What is left for the reply. */
const REPLY_MS = 800;

/**
 * Counts a call for many items and has the store carry it out. From then on a 503 would be a lie, so that items of which nobody knows
 * when the time is up are `failed`.
 *
 * @throws a `RequestError` before the store is asked: over the limit of the key, or nobody to answer any more.
 */
export async function carryOut<Result>(
  control: Control,
  items: number,
  call: () => Promise<readonly Result[]>,
): Promise<readonly (Result | Failed)[]> {
  control.charge(items - 1);
  if (!control.prolong(STORE_MS + REPLY_MS))
    throw unavailable('this takes too long at the moment; try again');
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly Failed[]>((resolve) => {
    timer = setTimeout(() => {
      const error = new StoreUnavailableError('no answer from the store in time');
      resolve(Array.from({ length: items }, () => ({ outcome: 'failed', error })));
    }, STORE_MS);
  });
  try {
    return await Promise.race([call(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** An item of which nobody knows, or which a fault of ours kept from being done. */
export function failedItem({ error }: Failed): ItemResult {
  const told = toRequestError(error);
  return {
    outcome: 'failed',
    failure: failureText(told, told.code === 'SERVICE_UNAVAILABLE'),
  };
}
