import type { Failed } from './event-store.ts';
import { StoreOverloadedError } from './store-errors.ts';

/** @throws the first error when every item was refused, because then nothing was done and the whole call may be repeated. */
export function unlessRefused<Result extends { readonly outcome: string }>(
  results: readonly (Result | Failed)[],
): readonly (Result | Failed)[] {
  const refusals = results.flatMap((result) =>
    isFailed(result) && result.error instanceof StoreOverloadedError ? [result.error] : [],
  );
  if (refusals.length === results.length && refusals[0] !== undefined) throw refusals[0];
  return results;
}

function isFailed(result: { readonly outcome: string }): result is Failed {
  return result.outcome === 'failed';
}
