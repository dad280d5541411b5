/**
 * Whether and when a request is repeated, for all calls of a store together. While DynamoDB answers, a repetition costs
 * little; while it does not, repetitions are most of the load, and keep it from recovering. So there is one budget: each
 * repetition takes from it, what works gives back, and when it is empty a failure is final.
 *
 * The model is the "standard" retry mode of the AWS SDKs (AWS SDKs and Tools Reference Guide, "Retry behavior"; the
 * numbers are those of `@smithy/core`, `retry/util-retry/constants.js`): a bucket of 500 tokens, 5 for a repetition, which a
 * repetition that works brings back, and 1 for a request that works at once. Added is a refill by time, so that a store that
 * is hardly used has its budget back too.
 */
export interface Retries {
  /** Milliseconds to wait after the try number `tries`, from 0: doubling up to a cap, with jitter. */
  pauseMs(tries: number): number;
  /** False: less than `cost` is left, and nothing was taken. */
  take(cost: number): boolean;
  give(amount: number): void;
}

export interface RetryOptions {
  /** Milliseconds, never going back. */
  readonly clockMs: () => number;
  /** 0 up to 1. */
  readonly random: () => number;
}

/** Of one repetition of a call. */
export const RETRY_COST = 5;

/**
 * Of a try to put a single event, the first one and each further one. No more than a stored event brings: while every second
 * request fails, as many are stored as before; with more failures than that the budget is soon used up.
 */
export const SINGLE_COST = 1;

/** What a request that works at once brings, and each event that is stored. */
export const SUCCESS = 1;

const BUDGET = 500;

/** Two repetitions a second: nothing to DynamoDB, and the whole budget in 50 s. */
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
