/**
 * Decides whether and when a request is retried, for all calls of a store together. While DynamoDB answers, a retry costs little.
 * While it does not, retries are most of the load, and keep it from recovering. So there is one budget: each retry takes from it,
 * success gives back, and when it is empty a failure is final.
 *
 * The model is the "standard" retry mode of the AWS SDKs (AWS SDKs and Tools Reference Guide, "Retry behavior"; the numbers are
 * those of `@smithy/core`, `retry/util-retry/constants.js`): the bucket has 500 tokens; a retry takes 5, and gives them back when it
 * succeeds; a request that succeeds at once gives 1. In addition the bucket refills with time, so that a store that is hardly
 * used gets its budget back as well.
 */
export interface Retries {
  /** Milliseconds to wait after try number `tries`, counted from 0. They double up to a cap, with jitter. */
  pauseMs(tries: number): number;
  /** Returns false, and takes nothing, when less than `cost` is left. */
  take(cost: number): boolean;
  give(amount: number): void;
}

export interface RetryOptions {
  /** Milliseconds that never go back. */
  readonly clockMs: () => number;
  /** Gives numbers from 0 up to 1. */
  readonly random: () => number;
}

/** Price of one retry of a call. */
export const RETRY_COST = 5;

/**
 * Price of each try to put a single event, including the first. It is as much as a stored event brings: while every second request
 * fails, as many events are stored as before, and with more failures the budget is soon used up.
 */
export const SINGLE_COST = 1;

/** What a request that succeeds at once gives back, and each event that is stored. */
export const SUCCESS = 1;

const BUDGET = 500;

/** Two retries a second, which are nothing to DynamoDB, and the whole budget in 50 s. */
const REFILL_PER_SECOND = 10;

const BACKOFF_MS = 25;
const BACKOFF_CAP_MS = 400;

export function createRetries({ clockMs, random }: RetryOptions): Retries {
  let left = BUDGET;
  let refilledAt = clockMs();

  const refill = () => {
    const now = clockMs();
    left = Math.min(BUDGET, left + ((now - refilledAt) / 1000) * REFILL_PER_SECOND);
    refilledAt = now;
  };

  return {
    pauseMs: (tries) => Math.min(BACKOFF_CAP_MS, BACKOFF_MS * 2 ** tries) * (0.5 + random() / 2),

    take(cost) {
      refill();
      if (left < cost) return false;
      left -= cost;
      return true;
    },

    give(amount) {
      left = Math.min(BUDGET, left + amount);
    },
  };
}
