import type { Quarantine } from './lease-store.ts';

/** A point in time: whole microseconds since the Unix epoch. Exact in a double until the year 2255. */
export type Micros = number;

/**
 * An event as the core knows it. `payload` and `metadata` are the JSON text that came in, never parsed objects. So numbers, key
 * order and depth survive, and a page is concatenated instead of serialized again.
 */
export interface StoredEvent {
  /** Lowercase UUID v4. */
  readonly id: string;
  readonly tenant: string;
  /** 1-255 characters; null on an event of the unversioned contract that came without one. */
  readonly source: string | null;
  /** 1-255 characters. */
  readonly type: string;
  /** JSON text of an object, at most 409,600 bytes of UTF-8. */
  readonly payload: string;
  /** JSON text of an object, at most 8,192 bytes of UTF-8 as sent. */
  readonly metadata: string | null;
  readonly createdAt: Micros;
  /** Null while the event is pending. */
  readonly acknowledgedAt: Micros | null;
  /** Of an event in quarantine; absent: it is pending or acknowledged. */
  readonly quarantine?: Quarantine;
}
