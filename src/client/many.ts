import type { Call } from './call.ts';
import { TriggersError, type ErrorCode, type FieldError } from './error.ts';
import type { WireItem, WireItemError, WireMany } from './wire.ts';

/** What is wrong with one item of a call for many. */
export interface ItemError {
  readonly code: ErrorCode;
  readonly message: string;
  /** What is wrong with each field; null where it is not a matter of fields. */
  readonly details: readonly FieldError[] | null;
}

/** What came of one item. */
export interface ItemResult<Outcome extends string> {
  /** Its place in the list. */
  readonly index: number;
  readonly outcome: Outcome;
  /** Null: the item is good. */
  readonly error: ItemError | null;
  /** Whether the same item may succeed later. */
  readonly retryable: boolean;
}

export interface ManyResult<Item extends ItemResult<string>> {
  /** In the order of the list. */
  readonly results: readonly Item[];
  /** How often each outcome came. */
  readonly summary: { readonly [Outcome in Item['outcome']]?: number };
}

/** One request of a call for many. */
export interface Part {
  readonly path: string;
  /** JSON text. */
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** How many items it has. */
  readonly size: number;
}

/** A result as the service writes it, or of an item that did not get as far. */
export type PartResult<Item extends WireItem> =
  Item | { readonly index: number; readonly failure: TriggersError };

/**
 * Sends the parts one after the other, under one deadline. A part of which items have failed for now is sent again as a whole, so that
 * the service knows each by its place; what has been good once stays as it was told. Once the first part has been answered, nothing
 * rejects any more: of an item that did not get as far the result says why.
 */
export async function callInParts<Item extends WireItem>(
  call: Call,
  parts: readonly Part[],
  signal: AbortSignal | undefined,
): Promise<readonly PartResult<Item>[]> {
  const deadline = call.deadline();
  const results: PartResult<Item>[] = [];
  for (const { path, body, headers = {}, size } of parts) {
    const first = results.length;
    const good = new Map<number, Item>();
    const learn = (answer: unknown): boolean => {
      const { results: told } = answer as WireMany<Item>;
      for (const item of told)
        if (item.error === undefined && !good.has(item.index)) good.set(item.index, item);
      return told.some(({ error, retryable }) => retryable === true && error?.code !== 'LEASED');
    };
    const request = { method: 'POST', path, body, headers, signal, deadline } as const;
    try {
      const answer = await call({
        ...request,
        success: { statuses: [200, 207], member: 'results' },
        unfinished: learn,
      });
      learn(answer.body);
      for (const item of (answer.body as WireMany<Item>).results) {
        results.push({ ...(good.get(item.index) ?? item), index: first + item.index });
      }
    } catch (failure) {
      if (first === 0 || !(failure instanceof TriggersError)) throw failure;
      for (let n = 0; n < size; n++) results.push({ index: first + n, failure });
    }
  }
  return results;
}

/** Counts the outcomes. */
export function withSummary<Item extends ItemResult<string>>(results: readonly Item[]): ManyResult<Item> {
  const summary: { [Outcome in Item['outcome']]?: number } = {};
  for (const { outcome } of results as readonly { outcome: Item['outcome'] }[]) {
    summary[outcome] = (summary[outcome] ?? 0) + 1;
  }
  return { results, summary };
}

/** What every result says of how it went wrong, if it did. */
export function problemOf(
  result: PartResult<WireItem>,
): Pick<ItemResult<string>, 'index' | 'error' | 'retryable'> {
  const { index } = result;
  if ('failure' in result) {
    const { code, message, details, retryable } = result.failure;
    return { index, error: { code, message, details }, retryable };
  }
  return { index, error: itemError(result.error), retryable: result.retryable === true };
}

function itemError(error: WireItemError | undefined): ItemError | null {
  return error === undefined
    ? null
    : { code: error.code, message: error.message, details: error.details ?? null };
}

/** Items and bytes of one request, at most. */
const PART_ITEMS = 500;
const PART_BYTES = 4 * 1024 * 1024;

/** JSON texts in lists that one request can take, in their order. @param frame bytes of the body around them. */
export function cutIntoParts(texts: readonly string[], frame: number): string[][] {
  const parts: string[][] = [];
  let bytes = Infinity;
  for (const text of texts) {
    const size = byteLength(text) + 1;
    const last = parts.at(-1);
    if (last === undefined || last.length === PART_ITEMS || bytes + size > PART_BYTES) {
      parts.push([text]);
      bytes = frame + size;
    } else {
      last.push(text);
      bytes += size;
    }
  }
  return parts;
}

const encoder = new TextEncoder();

function byteLength(text: string): number {
  return encoder.encode(text).length;
}
