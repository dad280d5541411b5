import type { Principal, Refusal } from '../access/authenticator.ts';
import type { RequestHead } from './exchange.ts';
import { RequestError } from './errors.ts';

const BEARER = /^bearer +(\S+) *$/i;

/** The key that a request presents, from `X-API-Key` or `Authorization: Bearer`; throws `UNAUTHORIZED`. */
export function presentedKey(head: RequestHead): string {
  // An empty header is what a template with an unset variable sends: no key, not a wrong one.
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

function unauthorized(message: string): RequestError {
  return new RequestError('UNAUTHORIZED', message, {
    headers: [['www-authenticate', 'Bearer realm="triggers-api"']],
  });
}
