import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { StoreOverloadedError } from '../store/store-errors.ts';
import type { KeyStore } from '../store/key-store.ts';
import type { Authenticator, Principal, Refusal } from './authenticator.ts';
import { admissionOf, createUpkeep, type Admission, type Comparison } from './key-admission.ts';
import { parseKey, type KeyParts } from './key-format.ts';
import type { SecretVerifier } from './secret-verifier.ts';

export interface KeyAuthenticator extends Authenticator {
  /** Ends the background work, and stores the last uses. Call it while the store is still open. */
  close(): Promise<void>;
}

export interface KeyAuthenticatorOptions {
  readonly keys: Pick<KeyStore, 'get' | 'getMany' | 'touch'>;
  readonly verifier: Pick<SecretVerifier, 'verify'>;
  /** How long an answer of the store admits a key, and so how long a revocation may take. */
  readonly ttlMs?: number;
  /** Size of the cache of valid keys, and of the cache of refusals. */
  readonly cacheSize?: number;
  /** Gets errors of the background work: reading keys again, storing their last use. No request has failed by them yet. */
  readonly onBackgroundError: (error: unknown) => void;
  /** Milliseconds that never go back. */
  readonly monotonicMs?: () => number;
  /** Milliseconds since the Unix epoch. */
  readonly wallMs?: () => number;
  /** Told of each presented key, on the path of its request. */
  readonly observe?: (answer: KeyAnswer) => void;
  /** Calls `work` at intervals until the function that it returns is called. */
  readonly repeat?: (work: () => Promise<void>, everyMs: number) => () => void;
}

/**
 * How a presented key was answered. `hit`: admitted from the cache. `hit_refused`: refused from the cache. `malformed`: refused by
 * its form. `miss`: looked up in the store. `shared`: joined a look-up under way. `overloaded`: not looked up, because too many are.
 */
export const KEY_ANSWERS = ['hit', 'hit_refused', 'malformed', 'miss', 'shared', 'overloaded'] as const;
export type KeyAnswer = (typeof KEY_ANSWERS)[number];

const REFUSAL_TTL_MS = 5_000;
/** Different keys that may be looked up at once. */
const MAX_LOOK_UPS = 1_000;

/**
 * Admits stored keys. A key that was seen recently is answered from a cache, without I/O, bcrypt or a promise. For any other
 * key its record is read once, for all requests that wait for it, and bcrypt runs unless this secret has been compared with
 * this hash before.
 *
 * The caches are keyed by the SHA-256 of what was presented. So they hold no secret, and the time of a look-up reveals nothing
 * about one. Only bcrypt compares the secrets themselves, in constant time.
 */
export function createKeyAuthenticator(options: KeyAuthenticatorOptions): KeyAuthenticator {
  const { keys, verifier, ttlMs = 30_000, cacheSize = 10_000 } = options;
  const { monotonicMs = () => performance.now(), wallMs = Date.now, repeat = repeatEvery } = options;
  const { observe = () => undefined } = options;
  const admitted = new LRUCache<string, Admission>({ max: cacheSize });
  // A separate cache: a client that sends thousands of wrong keys only pushes out other wrong keys.
  const refused = new LRUCache<string, Refused>({ max: cacheSize });
  const lookUps = new Map<string, Promise<Principal | Refusal>>();
  const upkeep = createUpkeep({ ...options, admitted, refuse, ttlMs, monotonicMs, wallMs });
  const stop = repeat(upkeep.run, ttlMs / 10);

  async function lookUp(digest: string, { keyId, secret }: KeyParts): Promise<Principal | Refusal> {
    const before = admitted.peek(digest)?.compared ?? refused.peek(digest)?.compared;
    const readAt = monotonicMs();
    const key = await keys.get(keyId);
    if (!key) return refuse(digest, 'unauthorized', readAt, null);
    const equal = before?.hash === key.hash ? before.equal : await verifier.verify(keyId, secret, key.hash);
    const compared = { hash: key.hash, equal };
    if (!equal) return refuse(digest, 'unauthorized', readAt, compared);
    if (key.status !== 'active') return refuse(digest, 'forbidden', readAt, compared);
    const admission = admissionOf(key, compared, { until: readAt + ttlMs, usedAt: readAt });
    admitted.set(digest, admission);
    refused.delete(digest);
    return admission.principal;
  }

  function refuse(digest: string, answer: Refusal, readAt: number, compared: Comparison | null): Refusal {
    admitted.delete(digest);
    refused.set(digest, { answer, until: readAt + Math.min(ttlMs, REFUSAL_TTL_MS), compared });
    return answer;
  }

  return {
    authenticate(presented) {
      const now = monotonicMs();
      const digest = hash('sha256', presented, 'base64');
      const admission = admitted.get(digest);
      if (admission && now < admission.until) {
        admission.usedAt = now;
        observe('hit');
        return admission.principal;
      }
      const refusal = refused.get(digest);
      if (refusal && now < refusal.until) {
        observe('hit_refused');
        return refusal.answer;
      }
      const parts = parseKey(presented);
      if (!parts) {
        observe('malformed');
        return 'unauthorized';
      }

      const underWay = lookUps.get(digest);
      if (underWay) {
        observe('shared');
        return underWay;
      }
      if (lookUps.size >= MAX_LOOK_UPS) {
        observe('overloaded');
        return Promise.reject(new StoreOverloadedError('Too many API keys are looked up at once'));
      }
      observe('miss');
      const started = lookUp(digest, parts).finally(() => lookUps.delete(digest));
      lookUps.set(digest, started);
      return started;
    },
    async close() {
      stop();
      await upkeep.finish();
    },
  };
}

interface Refused {
  readonly answer: Refusal;
  readonly until: number;
  /** Null: there was no such key. */
  readonly compared: Comparison | null;
}

function repeatEvery(work: () => Promise<void>, everyMs: number): () => void {
  const timer = setInterval(() => void work(), everyMs);
  timer.unref();
  return () => {
    clearInterval(timer);
  };
}
