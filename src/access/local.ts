import { createHash, timingSafeEqual } from 'node:crypto';
import type { Authenticator, Principal } from './authenticator.ts';

/** The fixed key of `AUTH_MODE=local`, for trying things out on a local machine. */
export const LOCAL_KEY = 'test-api-key-12345';

const LOCAL_PRINCIPAL: Principal = { keyId: 'local', tenant: 'default', rateLimit: null };

/** Admits the fixed key, and leaves every other key to `stored`. */
export function createLocalAuthenticator(stored: Authenticator): Authenticator {
  const expected = digest(LOCAL_KEY);
  return {
    authenticate(key) {
      // Stored keys have another length, which is no secret, so they skip this comparison and are hashed only once.
      const isLocal = key.length === LOCAL_KEY.length && timingSafeEqual(digest(key), expected);
      return isLocal ? LOCAL_PRINCIPAL : stored.authenticate(key);
    },
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
