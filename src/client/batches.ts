import type { Call } from './call.ts';
import { callInParts, cutIntoParts, problemOf, withSummary } from './many.ts';
import type { ItemResult, ManyResult, PartResult } from './many.ts';
import { keyHeader, randomKey, wireFrom, type NewEvent } from './new-event.ts';
import type { CallOptions, SendOptions } from './options.ts';
import type { WireAcknowledgedItem, WireCreatedItem } from './wire.ts';

/** What came of one event of `sendBatch`. `rejected`: this event alone is wrong. `failed`: nobody knows whether it is stored. */
export interface SentItem extends ItemResult<'created' | 'duplicate' | 'rejected' | 'failed'> {
  /** Null: it was rejected or has failed. */
  readonly eventId: string | null;
  readonly createdAt: string | null;
}

/** What came of one event of `ackMany`. `not_found`: it never was, was deleted, or has expired. `leased`: somebody is at work on it. */
export interface AcknowledgedItem extends ItemResult<
  'acknowledged' | 'already_acknowledged' | 'leased' | 'not_found' | 'failed'
> {
  readonly eventId: string;
  /** Null: it is not acknowledged, as far as is known. */
  readonly acknowledgedAt: string | null;
}

export interface AckOptions extends CallOptions {
  /** Also those that somebody has leased, who then learns that the lease is lost. */
  readonly force?: boolean | undefined;
}

/** Calls for many events. */
export interface Batches {
  /**
   * Sends many events, which come into the inbox in the order of the list: in requests of up to 500 events and 4 MiB. A `created`
   * event is durable. `duplicate`: it was stored by an earlier request with this key, which may be an earlier try of this call. Look
   * at the outcomes: this resolves also where events are wrong, and where something failed after the first request was answered.
   *
   * The key is the key of the whole list: to repeat it, repeat the same list in the same order.
   */
  sendBatch(events: readonly NewEvent[], options?: SendOptions): Promise<ManyResult<SentItem>>;
  /** Takes many different events out of the inbox, in requests of up to 500. Look at the outcomes: it resolves also where some are not there. */
  ackMany(eventIds: readonly string[], options?: AckOptions): Promise<ManyResult<AcknowledgedItem>>;
}

export function createBatches(call: Call): Batches {
  return {
    async sendBatch(list, { signal, idempotencyKey } = {}) {
      const parts = cutIntoParts(
        list.map((event) => JSON.stringify(wireFrom(event))),
        '{"events":[]}'.length,
      );
      const key = idempotencyKey ?? randomKey();
      const results = await callInParts<WireCreatedItem>(
        call,
        parts.map((part, index) => ({
          path: '/v1/events/batch',
          body: `{"events":[${part.join(',')}]}`,
          // Made before the first try: all tries are the same request.
          headers: keyHeader(undefined, parts.length === 1 ? key : `${key}.${String(index)}`),
          size: part.length,
        })),
        signal,
      );
      return withSummary(results.map(sentItem));
    },

    async ackMany(eventIds, { signal, force = false } = {}) {
      const parts = cutIntoParts(
        eventIds.map((eventId) => JSON.stringify(eventId)),
        '{"event_ids":[],"force":true}'.length,
      );
      const results = await callInParts<WireAcknowledgedItem>(
        call,
        parts.map((part) => ({
          path: '/v1/events/ack',
          body: `{"event_ids":[${part.join(',')}]${force ? ',"force":true' : ''}}`,
          size: part.length,
        })),
        signal,
      );
      return withSummary(results.map((result) => acknowledgedItem(result, eventIds)));
    },
  };
}

function sentItem(result: PartResult<WireCreatedItem>): SentItem {
  const problem = problemOf(result);
  if ('failure' in result) return { ...problem, outcome: 'failed', eventId: null, createdAt: null };
  const { outcome, event_id: eventId = null, created_at: createdAt = null } = result;
  return { ...problem, outcome, eventId, createdAt };
}

function acknowledgedItem(
  result: PartResult<WireAcknowledgedItem>,
  eventIds: readonly string[],
): AcknowledgedItem {
  const problem = problemOf(result);
  if ('failure' in result) {
    const eventId = eventIds[result.index] ?? '';
    return { ...problem, outcome: 'failed', eventId, acknowledgedAt: null };
  }
  const { outcome, event_id: eventId, acknowledged_at: acknowledgedAt = null } = result;
  return { ...problem, outcome, eventId, acknowledgedAt };
}
