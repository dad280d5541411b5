import type { Deadline } from '../../src/store/dynamodb/deadline.ts';

/** A call that may take for ever and retry without limit; pauses end at once. */
export function endless(): Deadline {
  return {
    at: Infinity,
    signal: new AbortController().signal,
    pause: () => Promise.resolve(),
    retries: { pauseMs: () => 0, take: () => true, give: () => undefined },
    turn: (request) => request(),
  };
}
