import { createHash, timingSafeEqual } from 'node:crypto';
import type { Authenticator, Principal } from './authenticator.ts';

/** The fixed key of `AUTH_MODE=local`, for trying things out on one's own machine. */
export const LOCAL_KEY = 'test-api-key-12345';

const LOCAL_PRINCIPAL: Principal = { keyId: 'local', tenant: 'default', rateLimit: null };

/** Takes the fixed key alone. */
export function createLocalAuthenticator(): Authenticator {
  const expected = digest(LOCAL_KEY);
  return {
    authenticate: (key) => (timingSafeEqual(digest(key), expected) ? LOCAL_PRINCIPAL : 'unauthorized'),
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
