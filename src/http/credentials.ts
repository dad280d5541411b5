import type { Principal, Refusal } from '../access/authenticator.ts';
import type { Quota } from '../access/rate-limiter.ts';
import { RequestError } from './request-error.ts';
import type { RequestHead } from './head.ts';
import type { Headers } from './reply.ts';

const BEARER = /^bearer +(\S+) *$/i;

/** The key that a request presents, from `X-API-Key` or `Authorization: Bearer`; throws `UNAUTHORIZED`. */
export function presentedKey(head: RequestHead): string {
  // A template with an unset variable sends an empty header: that is a missing key, not a wrong one.
  const apiKey = head.apiKey === '' ? undefined : head.apiKey;
  const bearer = head.authorization === undefined ? undefined : BEARER.exec(head.authorization)?.[1];
  if (apiKey !== undefined && bearer !== undefined && apiKey !== bearer) {
    throw unauthorized('X-API-Key and Authorization carry two different keys; send one');
  }
  const key = apiKey ?? bearer;
  if (key === undefined) {
    throw unauthorized('send an API key as X-API-Key: <key> or Authorization: Bearer <key>');
  }
  return key;
}

export function requirePrincipal(result: Principal | Refusal): Principal {
  if (result === 'unauthorized') throw unauthorized('this API key is not known; check it for typing errors');
  if (result === 'forbidden') {
    throw new RequestError('FORBIDDEN', 'this API key has been revoked or deactivated; use another one');
  }
  return result;
}

/** The headers that tell a client its limit. Throws `RATE_LIMITED` with the same headers when the limit is used up. */
export function requireQuota(quota: Quota | null): Headers {
  if (!quota) return [];
  const seconds = String(quota.resetSeconds);
  const headers: Headers = [
    ['ratelimit-limit', String(quota.limit)],
    ['ratelimit-remaining', String(quota.remaining)],
    ['ratelimit-reset', seconds],
  ];
  if (quota.admitted) return headers;
  const message = `this API key may send ${String(quota.limit)} requests a minute; try again in ${seconds} s`;
  throw new RequestError('RATE_LIMITED', message, { headers: [['retry-after', seconds], ...headers] });
}

function unauthorized(message: string): RequestError {
  return new RequestError('UNAUTHORIZED', message, {
    headers: [['www-authenticate', 'Bearer realm="triggers-api"']],
  });
}
