import type { World } from './world.ts';

const FIRST_MS = 100;
const LONGEST_MS = 20_000;

/**
 * How long to wait before the next try: full jitter
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), so that clients that failed together do not
 * come back together. What the service asks for in `Retry-After` comes first, and is never shortened.
 *
 * @param failed tries so far, at least 1.
 */
export function waitMs(failed: number, headers: Headers | undefined, random: World['random']): number {
  const jitter = random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** (failed - 1));
  return jitter + (headers ? retryAfterMs(headers) : 0);
}

/** RFC 9110, section 10.2.3: seconds, or a date, which is compared with the clock of who sent it. 0 where there is none. */
function retryAfterMs(headers: Headers): number {
  const value = headers.get('retry-after') ?? '';
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const ms = Date.parse(value) - Date.parse(headers.get('date') ?? '');
  return ms > 0 ? ms : 0;
}
