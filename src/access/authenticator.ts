/** On whose behalf a request acts. */
export interface Principal {
  /** Public id of the key, fit for logs. */
  readonly keyId: string;
  readonly tenant: string;
  /** Requests a minute on this instance; null: no limit. */
  readonly rateLimit: number | null;
}

/** `unauthorized`: not a key of ours. `forbidden`: a key of ours that may not be used now. */
export type Refusal = 'unauthorized' | 'forbidden';

export interface Authenticator {
  /**
   * Answers at once, without a promise, when it knows the key already. Otherwise it returns a promise, which rejects with a
   * `StoreUnavailableError` or `StoreOverloadedError` when the key could not be checked. A refusal always means that it was.
   */
  authenticate(key: string): Principal | Refusal | Promise<Principal | Refusal>;
}
