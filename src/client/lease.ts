import type { Answer, Call, Request } from './call.ts';
import { eventFrom, type TriggersEvent } from './event.ts';
import { keyHeader } from './new-event.ts';
import type { SendOptions } from './options.ts';
import { settledItem, wireSettle, type SettledItem, type Settlement, type Settlements } from './settle.ts';
import type { WireLeaseCall, WireLeases } from './wire.ts';

/** Which events to lease, and how. */
export interface LeaseOptions extends SendOptions {
  /** 1-100; 10 by default. */
  readonly limit?: number | undefined;
  /** 1-43,200; 60 by default. */
  readonly leaseSeconds?: number | undefined;
  /** How long the service waits where there is nothing: 0-20, 0 by default. The call may take so much longer. */
  readonly waitSeconds?: number | undefined;
  /** Only events with exactly this source. */
  readonly source?: string | undefined;
  /** Only events of exactly this type. */
  readonly eventType?: string | undefined;
  /** Settled before anything is leased: up to 500 leases. */
  readonly settle?: Settlements | undefined;
}

/** The right to work on an event for a while. */
export interface Lease {
  /** Shows that you have the lease. Opaque. */
  readonly token: string;
  /** ISO 8601 UTC, by the clock of the service. */
  readonly expiresAt: string;
  /** Counts the leases of the event that were not given back, from 1. */
  readonly attempt: number;
  /** Why the event was released last, if that was said. */
  readonly lastReason: string | null;
}

export interface LeasedEvent<Payload = Record<string, unknown>> extends TriggersEvent<Payload> {
  readonly lease: Lease;
}

export interface Leases<Payload = Record<string, unknown>> {
  /** Oldest first. */
  readonly events: readonly LeasedEvent<Payload>[];
  /** What came of `settle`, in the order ack, release, reject, extend. Look at the outcomes. */
  readonly settled: readonly SettledItem[];
  readonly backlog: {
    /** There is really nothing. False with no events: all that is pending is leased. */
    readonly empty: boolean;
    readonly pending: number;
    /** There may be more pending. */
    readonly isLowerBound: boolean;
  };
}

/** A call that leases, and what is different each time it is made. */
export type LeaseRequest = Omit<LeaseOptions, 'settle'> & {
  readonly idempotencyKey: string;
  readonly settle: readonly Settlement[];
  /** How the request is repeated. */
  readonly retries?: Pick<Request, 'maxRetries' | 'deadline' | 'onRetry'>;
};

/** All tries have one key: an answer that gets lost costs no lease. */
export async function lease<Payload>(
  call: Call,
  { limit, leaseSeconds, waitSeconds, source, eventType, settle, ...request }: LeaseRequest,
): Promise<Leases<Payload> & Pick<Answer, 'tries'>> {
  const { body, tries } = await call({
    method: 'POST',
    path: '/v1/inbox/lease',
    body: JSON.stringify({
      ...{ limit, lease_seconds: leaseSeconds, wait_seconds: waitSeconds, source, event_type: eventType },
      ...(settle.length === 0 ? {} : { settle: wireSettle(settle) }),
    } satisfies WireLeaseCall),
    headers: keyHeader(undefined, request.idempotencyKey),
    signal: request.signal,
    success: { statuses: [200], member: 'events' },
    heldMs: (waitSeconds ?? 0) * 1000,
    ...request.retries,
  });
  const { events, settled, backlog } = body as WireLeases;
  return {
    tries,
    events: events.map((event) => ({
      ...eventFrom<Payload>(event),
      lease: {
        token: event.lease.token,
        expiresAt: event.lease.expires_at,
        attempt: event.lease.attempt,
        lastReason: event.lease.last_reason,
      },
    })),
    settled: settled.map(settledItem),
    backlog: { empty: backlog.empty, pending: backlog.pending, isLowerBound: backlog.is_lower_bound },
  };
}
