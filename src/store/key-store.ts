import type { Micros } from './event.ts';

/**
 * The port for API keys, beside each event store and closed with it; `test/contracts/key-store-contract.ts` is its meaning in
 * code. Every method rejects as those of `EventStore` do, with the same errors and within 2 s.
 */
export interface KeyStore {
  /** Consistent: sees every write that resolved before the call, also one of another process. */
  get(keyId: string): Promise<ApiKey | undefined>;

  /** As `get`, in one go, for up to `KEY_BATCH` different ids; those without a key are left out, the order is free. */
  getMany(keyIds: readonly string[]): Promise<readonly ApiKey[]>;

  /** False: there is a key with this id already, and nothing was written. */
  create(key: ApiKey): Promise<boolean>;

  /** All keys, the oldest first. Not for the request path: it reads the whole table. */
  list(): Promise<readonly ApiKey[]>;

  /** At least one change. Answers the key as it is afterwards; undefined: there is none, and nothing was written. */
  update(keyId: string, changes: KeyChanges): Promise<ApiKey | undefined>;

  /** Moves `lastUsedAt` forward, never back. Does nothing when there is no such key. */
  touch(keyId: string, usedAt: Micros): Promise<void>;
}

/** What is stored of an API key. The key itself is nowhere: it is shown once, when it is made. */
export interface ApiKey {
  /** Public, fit for logs. */
  readonly keyId: string;
  /** bcrypt of the secret. */
  readonly hash: string;
  /** 1-255 characters, for people. */
  readonly name: string;
  readonly tenant: string;
  readonly status: KeyStatus;
  /** Requests a minute on one instance, at least 1. */
  readonly rateLimit: number;
  readonly createdAt: Micros;
  /** Up to a minute behind; null: never used. */
  readonly lastUsedAt: Micros | null;
}

/** `inactive` is a pause, `revoked` says that the key is not to be trusted any more; neither lets a request in. */
export type KeyStatus = 'active' | 'inactive' | 'revoked';

export type KeyChanges = Partial<Pick<ApiKey, 'status' | 'rateLimit'>>;

/** What one `getMany` may ask for. BatchGetItem takes as many. */
export const KEY_BATCH = 100;
