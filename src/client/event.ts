import type { WireEvent } from './wire.ts';

/** An event that the service has. Times are ISO 8601 UTC with microseconds, which a `Date` would lose. */
export interface TriggersEvent<Payload = Record<string, unknown>> {
  readonly eventId: string;
  /** Null: it came through the unversioned API, without one. */
  readonly source: string | null;
  readonly eventType: string;
  readonly payload: Payload;
  readonly metadata: Record<string, unknown> | null;
  readonly status: 'pending' | 'acknowledged' | 'quarantined';
  readonly createdAt: string;
  readonly acknowledgedAt: string | null;
}

/** @typeParam Payload is taken on trust: the service stores any JSON object. */
export function eventFrom<Payload>(wire: WireEvent): TriggersEvent<Payload> {
  return {
    eventId: wire.event_id,
    source: wire.source,
    eventType: wire.event_type,
    payload: wire.payload as Payload,
    metadata: wire.metadata,
    status: wire.status,
    createdAt: wire.created_at,
    acknowledgedAt: wire.acknowledged_at,
  };
}
