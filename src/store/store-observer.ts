/** What a store reports while it works. The methods run on the path of requests: they are quick and never throw. */
export interface StoreObserver {
  /**
   * Writes that waited together were written together: one transaction of the embedded store, or one BatchWriteItem.
   *
   * @param milliseconds from its beginning to the answer of the disk or of DynamoDB, which may be an error.
   */
  readonly committed: (writes: number, milliseconds: number) => void;
  /** A write was refused, because too many wait or because it has waited too long. */
  readonly refused: () => void;
  /** The sweep has deleted events that had expired. DynamoDB deletes them by itself, and does not tell. */
  readonly expired: (events: number) => void;
  /** One try of a request to DynamoDB has ended. */
  readonly requested: (request: ObservedRequest) => void;
}

export interface ObservedRequest {
  readonly table: string;
  /** As in the DynamoDB API reference, e.g. `PutItem`. */
  readonly operation: string;
  readonly milliseconds: number;
  readonly outcome: RequestOutcome;
  /** Capacity units that the answer says were consumed. An answer that is an error does not say it, and counts as 0. */
  readonly units: number;
  /** Items or keys of a batch that DynamoDB gave back undone. */
  readonly unprocessed: number;
}

/**
 * `condition_failed`: carried out, and not written. `throttled`: refused for now. `refused`: refused for good. `unsent`: there was
 * no connection. `unclear`: no answer, or a 5xx.
 */
export type RequestOutcome = 'ok' | 'condition_failed' | 'throttled' | 'refused' | 'unsent' | 'unclear';

export const UNOBSERVED: StoreObserver = {
  committed: () => undefined,
  refused: () => undefined,
  expired: () => undefined,
  requested: () => undefined,
};
