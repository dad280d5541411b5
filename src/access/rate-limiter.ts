import type { Principal } from './authenticator.ts';

/** What the limit of its key means for a request. Times are whole seconds, rounded up, at least 1. */
export interface Quota {
  readonly admitted: boolean;
  /** Requests per window. */
  readonly limit: number;
  /** Requests that the window still has room for. */
  readonly remaining: number;
  /** Time until the window ends and the whole `limit` is available again. */
  readonly resetSeconds: number;
}

export interface RateLimiter {
  /**
   * Counts a request, or as many as a call for many items stands for: all of them or none. Null: its key has no limit.
   *
   * @param time monotonic milliseconds.
   */
  admit(principal: Principal, time: number, requests?: number): Quota | null;
}

const WINDOW_MS = 60_000;

/**
 * A fixed window of 60 s per key, which opens with the key's first request. The limit is exact while at most `maxKeys` keys have
 * an open window. Beyond that the windows that would end first are forgotten, and their keys get new ones early.
 */
export function createRateLimiter({ maxKeys = 100_000 } = {}): RateLimiter {
  // In the order in which the windows opened and will end: a key with a new window moves to the back.
  const windows = new Map<string, Window>();

  function open(keyId: string, nowMs: number): Window {
    windows.delete(keyId);
    // There is no timer. Each new window removes up to two old ones, so the size of the map follows the number of keys in use.
    let checked = 0;
    for (const [oldest, { endMs }] of windows) {
      if (checked++ === 2 || (endMs > nowMs && windows.size < maxKeys)) break;
      windows.delete(oldest);
    }
    const window = { endMs: nowMs + WINDOW_MS, count: 0 };
    windows.set(keyId, window);
    return window;
  }

  return {
    admit({ keyId, rateLimit: limit }, time, requests = 1) {
      if (limit === null) return null;
      // Whole numbers: with fractions a window that has just opened could seem to last longer than 60 s.
      const nowMs = Math.floor(time);
      let window = windows.get(keyId);
      if (!window || window.endMs <= nowMs) window = open(keyId, nowMs);
      const admitted = window.count + requests <= limit;
      if (admitted) window.count += requests;
      return {
        admitted,
        limit,
        // The limit may have been lowered since the window opened.
        remaining: Math.max(0, limit - window.count),
        resetSeconds: Math.ceil((window.endMs - nowMs) / 1000),
      };
    },
  };
}

interface Window {
  readonly endMs: number;
  count: number;
}
