import type { Micros } from './event.ts';

/** What can be asked about the state of a store at any moment. Each method fails with a `StoreUnavailableError` after `close`. */
export interface StoreGauges {
  /** Writes that were accepted and wait for their group commit. */
  readonly commitQueue: () => CommitQueueState;
  /** The file of the embedded store. Takes up to a millisecond. */
  readonly disk?: () => DiskState;
  /**
   * Inboxes that have pending events. To be called now and then, and not for a request: it may take seconds.
   *
   * @param lately tenants that this instance has served. The embedded store knows all tenants, and does not need it.
   */
  readonly inboxes: (lately: readonly string[]) => Promise<readonly InboxState[]>;
}

export interface CommitQueueState {
  readonly writes: number;
  /** All tenants together. One alone can have half of it (`shares.ts`). */
  readonly limit: number;
}

/** In bytes. */
export interface DiskState {
  readonly file: number;
  /** In pages of the file that are not in use: new events take them first. */
  readonly reusable: number;
  /** Left on the file system for this user. */
  readonly available: number;
  /** Of the file system. */
  readonly total: number;
  /** False: the disk is almost full, and no event is taken. */
  readonly takesEvents: boolean;
}

export interface InboxState {
  readonly tenant: string;
  readonly pending: number;
  /** When the oldest pending event was created. */
  readonly oldest: Micros;
}
