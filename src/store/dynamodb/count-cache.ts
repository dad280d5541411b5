import { LRUCache } from 'lru-cache';
import type { PendingCount } from '../event-store.ts';

/** How long an answer is used: a count reads up to 10,000 index entries. */
const MAX_AGE_MS = 10_000;
const TENANTS = 10_000;

/**
 * Calls `count` at most once in `MAX_AGE_MS` for each tenant. Callers at the same time share one request. Errors are not kept.
 *
 * @param clockMs milliseconds that never go back: after a wall clock was set back, a count would be kept too long.
 */
export function cacheCounts(
  count: (tenant: string) => Promise<PendingCount>,
  clockMs: () => number = () => performance.now(),
): (tenant: string) => Promise<PendingCount> {
  const cache = new LRUCache<string, { readonly since: number; readonly answer: Promise<PendingCount> }>({
    max: TENANTS,
  });
  return (tenant) => {
    const now = clockMs();
    const known = cache.get(tenant);
    if (known && now - known.since < MAX_AGE_MS) return known.answer;
    const fresh = { since: now, answer: count(tenant) };
    cache.set(tenant, fresh);
    fresh.answer.catch(() => {
      if (cache.peek(tenant) === fresh) cache.delete(tenant);
    });
    return fresh.answer;
  };
}
