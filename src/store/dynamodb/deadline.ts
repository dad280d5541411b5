import { setTimeout as sleep } from 'node:timers/promises';
import { StoreUnavailableError } from '../errors.ts';
import { failureOf } from './failure.ts';

/** Every call of the store has this long, retries included: its caller is promised an answer within 2 s. */
export const CALL_BUDGET_MS = 1_800;

const BACKOFF_MS = 25;
const BACKOFF_CAP_MS = 400;

/** When an answer must be there, on `performance.now()`; the signal fires then. */
export interface Deadline {
  readonly at: number;
  readonly signal: AbortSignal;
  /** Waits between two tries, in milliseconds; rejects when the signal fires. */
  readonly pause: (ms: number) => Promise<unknown>;
}

/** Runs `run` with a deadline `budgetMs` from now, and rejects then, even if what it waits for ignores the signal. */
export async function withDeadline<T>(
  run: (deadline: Deadline) => Promise<T>,
  budgetMs: number = CALL_BUDGET_MS,
): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new StoreUnavailableError(`no answer from DynamoDB in time (${budgetMs.toFixed(0)} ms)`));
      controller.abort();
    }, budgetMs);
  });
  try {
    const { signal } = controller;
    const at = performance.now() + budgetMs;
    const pause = (ms: number) => sleep(ms, undefined, { signal });
    return await Promise.race([run({ at, signal, pause }), expired]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Tries until it works, the error is final, or the next pause would not end before the deadline.
 *
 * @param attempt may be carried out more than once without harm. `unsure`: an earlier try may have been carried out.
 * @returns rejects with the last error of `attempt`.
 */
export async function insist<T>(
  attempt: (signal: AbortSignal, unsure: boolean) => Promise<T>,
  deadline: Deadline,
): Promise<T> {
  let unsure = false;
  for (let tries = 0; ; tries++) {
    try {
      return await attempt(deadline.signal, unsure);
    } catch (error) {
      const failure = failureOf(error);
      if (failure === 'refused') throw error;
      const pause = Math.min(BACKOFF_CAP_MS, BACKOFF_MS * 2 ** tries) * (0.5 + Math.random() / 2);
      if (deadline.signal.aborted || performance.now() + pause >= deadline.at) {
        if (!unsure || failure === 'unclear') throw error;
        throw new StoreUnavailableError('DynamoDB gave no clear answer in time', { cause: error });
      }
      unsure ||= failure === 'unclear';
      await deadline.pause(pause);
    }
  }
}
