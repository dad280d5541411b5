/** Who a request acts for. */
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
   * Answers at once, without a promise, when it knows the key already. Otherwise the promise rejects with a
   * `StoreUnavailableError` or `StoreOverloadedError` when the key could not be checked: never a refusal for lack of knowledge.
   */
  authenticate(key: string): Principal | Refusal | Promise<Principal | Refusal>;
}
