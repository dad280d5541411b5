import type { Micros } from './event.ts';

/**
 * The port for API keys. Each event store has one, and closes it with itself. `test/contracts/key-store-contract.ts` says in
 * code what it means. Every method rejects as those of `EventStore` do, with the same errors and within 2 s.
 */
export interface KeyStore {
  /** Consistent: sees every write that resolved before the call, including writes of other processes. */
  get(keyId: string): Promise<ApiKey | undefined>;

  /** Like `get` for up to `KEY_BATCH` different ids at once. Ids without a key are left out; the order is not defined. */
  getMany(keyIds: readonly string[]): Promise<readonly ApiKey[]>;

  /** Resolves with false, and writes nothing, when there is a key with this id already. */
  create(key: ApiKey): Promise<boolean>;

  /** All keys, oldest first. Not for the request path: it reads the whole table. */
  list(): Promise<readonly ApiKey[]>;

  /** Takes at least one change. Resolves with the key as it is afterwards; with undefined when there is no such key. */
  update(keyId: string, changes: KeyChanges): Promise<ApiKey | undefined>;

  /** Moves `lastUsedAt` forward, never back. Does nothing when there is no such key. */
  touch(keyId: string, usedAt: Micros): Promise<void>;
}

/** What is stored of an API key. The key itself is not stored: it is shown once, when it is created. */
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

/** `inactive` is a pause; `revoked` means that the key must not be trusted any more. Neither lets a request in. */
export type KeyStatus = 'active' | 'inactive' | 'revoked';

export type KeyChanges = Partial<Pick<ApiKey, 'status' | 'rateLimit'>>;

/** The most ids that one `getMany` takes. BatchGetItem takes the same number. */
export const KEY_BATCH = 100;
