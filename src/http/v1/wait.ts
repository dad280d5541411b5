import type { Look, Waiting, Wanted } from '../../events/waiting.ts';
import type { Principal } from '../../access/authenticator.ts';
import { isWanted } from '../../store/is-wanted.ts';
import { RequestError } from '../request-error.ts';
import type { Control } from '../route.ts';
import { REPLY_MS, STORE_MS } from './many.ts';

/** Waits for what `look` finds, as `Place.wait` does. Undefined also where the client has gone, or the transport cannot wait. */
export type Wait = <Found>(
  wanted: Wanted,
  empty: () => string,
  look: Look<Found>,
  again?: boolean,
) => Promise<Found | undefined>;

/**
 * Answers a request that may wait. What is done before the wait counts for its time.
 *
 * @param answer gets what waits for the rest of the time. It should look before that.
 * @throws `RATE_LIMITED` where the key has too many requests that wait.
 */
export async function maybeWaiting<Reply>(
  waiting: Waiting,
  { principal, control }: { readonly principal: Principal; readonly control: Control },
  seconds: number,
  answer: (wait: Wait) => Promise<Reply>,
): Promise<Reply> {
  if (seconds === 0 || !control.holds) return answer(() => Promise.resolve(undefined));
  const until = performance.now() + seconds * 1_000;
  const place = waiting.join(principal.tenant, principal.keyId);
  if (place === undefined) {
    throw new RequestError('RATE_LIMITED', 'too many requests with this API key wait for events already', {
      headers: [['retry-after', '1']],
    });
  }
  try {
    return await answer((wanted, empty, look, again) => {
      const ms = until - performance.now();
      const isHeld = control.hold(ms + STORE_MS + REPLY_MS, empty, () => {
        place.leave();
      });
      return isHeld ? place.wait(wanted, ms, look, again) : Promise.resolve(undefined);
    });
  } finally {
    place.leave();
  }
}

/** What those wait for who do the same with the same filter. */
export function wantedBy(
  what: 'inbox' | 'lease',
  { source, type }: { readonly source?: string | undefined; readonly type?: string | undefined },
): Wanted {
  return {
    name: `${what} ${JSON.stringify([source, type])}`,
    fits: (event) => (event.forLeases === undefined || what === 'lease') && isWanted(event, { source, type }),
  };
}
