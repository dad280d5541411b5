import { setTimeout as sleep } from 'node:timers/promises';
import { StoreOverloadedError, StoreUnavailableError } from '../store-errors.ts';
import { failureOf } from './failure.ts';
import { RETRY_COST, SUCCESS, type Retries } from './retries.ts';

/** Time for every call of the store, including retries: the port promises an answer within 2 s. */
export const CALL_BUDGET_MS = 1_800;

/** What the requests of a call share with the requests of other calls. */
export interface Sending {
  readonly retries: Retries;
  /**
   * Runs the request when there is a place for it. There are fewer places than sockets, so that the SDK sends a request at once;
   * its time-outs count from then.
   */
  readonly turn: <T>(request: () => Promise<T>) => Promise<T>;
}

/** `at` is when an answer must be there, as a time of `performance.now()`. The signal fires then. */
export interface Deadline extends Sending {
  readonly at: number;
  readonly signal: AbortSignal;
  /** Waits between two tries, in milliseconds; rejects when the signal fires. */
  readonly pause: (ms: number) => Promise<unknown>;
}

/** For requests that have their own place and are made only once. */
const ONCE: Sending = {
  retries: { pauseMs: () => 0, take: () => false, give: () => undefined },
  turn: (request) => request(),
};

/** Runs `run` with a deadline `budgetMs` from now, and rejects then, even if what it waits for ignores the signal. */
export async function withDeadline<T>(
  run: (deadline: Deadline) => Promise<T>,
  budgetMs: number = CALL_BUDGET_MS,
  sending: Sending = ONCE,
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
    return await Promise.race([run({ ...sending, at, signal, pause }), expired]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * `withDeadline` for one item of many that take turns: it may be time before its turn comes. Rejects with a `StoreOverloadedError`
 * when nothing was sent before the deadline; nothing is sent after it.
 *
 * @param endsAt a time of `performance.now()`.
 */
export async function untilSent<T>(
  run: (deadline: Deadline) => Promise<T>,
  endsAt: number,
  sending: Sending,
): Promise<T> {
  const left = endsAt - performance.now();
  if (left <= 0) throw new StoreOverloadedError(NOT_SENT);
  const state = { sent: false, over: false };
  const noted = (deadline: Deadline): Deadline => {
    deadline.signal.addEventListener('abort', () => (state.over = true));
    return {
      ...deadline,
      turn: (request) =>
        deadline.turn(() => {
          if (state.over) throw new StoreOverloadedError(NOT_SENT);
          state.sent = true;
          return request();
        }),
    };
  };
  try {
    return await withDeadline((deadline) => run(noted(deadline)), left, sending);
  } catch (error) {
    if (state.over && !state.sent) throw new StoreOverloadedError(NOT_SENT, { cause: error });
    throw error;
  }
}

const NOT_SENT = 'the request was not sent in time';

/**
 * Repeats `attempt` until it succeeds, its error is final, the next pause would not end before the deadline, or the budget of
 * retries is used up.
 *
 * @param attempt must be harmless when it is carried out more than once. `unsure`: an earlier try may have been carried out.
 * @returns rejects with the last error of `attempt`.
 */
export async function withRetries<T>(
  attempt: (unsure: boolean) => Promise<T>,
  deadline: Deadline,
): Promise<T> {
  let unsure = false;
  for (let tries = 0; ; tries++) {
    try {
      const answer = await deadline.turn(() => attempt(unsure));
      deadline.retries.give(tries === 0 ? SUCCESS : RETRY_COST);
      return answer;
    } catch (error) {
      const failure = failureOf(error);
      if (failure === 'refused') throw error;
      if (await mayRetry(tries, deadline)) {
        unsure ||= failure === 'unclear';
        continue;
      }
      if (!unsure || failure === 'unclear') throw error;
      throw new StoreUnavailableError('DynamoDB gave no clear answer in time', { cause: error });
    }
  }
}

/**
 * Waits before one more try, and takes its price from the budget. Resolves with false at once when there must be no further try,
 * because it would not begin before the deadline or the budget of retries is used up.
 *
 * @param tries number of tries after the first one.
 */
export async function mayRetry(tries: number, { at, signal, pause, retries }: Deadline): Promise<boolean> {
  const ms = retries.pauseMs(tries);
  if (signal.aborted || performance.now() + ms >= at || !retries.take(RETRY_COST)) return false;
  await pause(ms);
  return true;
}
