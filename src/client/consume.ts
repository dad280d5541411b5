import type { Call } from './call.ts';
import { Loop } from './consumer.ts';
import type { LeasedEvent } from './lease.ts';
import type { World } from './world.ts';

/** What a handler gets beside the event. */
export interface HandlerContext {
  /** Aborted when the lease is lost, so that somebody else may get the event, and when the time to drain is up. */
  readonly signal: AbortSignal;
  /** From 1: how often the event has been handed out. */
  readonly attempt: number;
}

/**
 * Handles one event. Returning acknowledges it. Throwing gives it back, to come again after `backoff`; `Reject` puts it into
 * quarantine; `Release` gives it back in another way. The message of what is thrown stays with the event as the reason.
 */
export type Handler<Payload = Record<string, unknown>> = (
  event: LeasedEvent<Payload>,
  context: HandlerContext,
) => unknown;

export interface ConsumeOptions<Payload = Record<string, unknown>> {
  /** How many events are handled at once. 10 by default. No more than that are leased. */
  readonly concurrency?: number | undefined;
  /** How long one lease runs: 1-43,200; 60 by default. At half time it is extended, while the handler runs. */
  readonly leaseSeconds?: number | undefined;
  /** How long a handler may have its event in all. 3,600 by default, or `leaseSeconds` if that is more. */
  readonly maxLeaseSeconds?: number | undefined;
  /** How long the service waits for events in one request: 0-20; 20 by default. With 0 it is asked every second. */
  readonly waitSeconds?: number | undefined;
  /** In how many seconds an event comes again for which the handler threw. By default 2, 4, 8, ... up to 900. */
  readonly backoff?: ((attempt: number) => number) | undefined;
  /** Only events with exactly this source. */
  readonly source?: string | undefined;
  /** Only events of exactly this type. */
  readonly eventType?: string | undefined;
  /** Ends the consumer as `stop({drainMs: 0})` does. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Told what handlers throw (not `Reject` and `Release`); of settlements that failed for good, as a `TriggersError`; and, without
   * an event, of lease calls that have failed five times or more and are sent again. Without it the first settlement that failed for
   * good ends the consumer, and so does an error that this throws.
   */
  readonly onError?: ((error: unknown, event: LeasedEvent<Payload> | null) => void) | undefined;
}

export interface StopOptions {
  /** For how long handlers may go on before their signals are aborted and their events given back. 10,000 by default. */
  readonly drainMs?: number | undefined;
}

export interface Consumer {
  /**
   * Leases no more, lets the handlers end, settles, and gives back what is left, which counts as no attempt. Resolves or rejects
   * as `ended` does, 5 s after the time to drain at the latest.
   */
  stop(options?: StopOptions): Promise<void>;
  /**
   * Resolves when the consumer has been stopped. Rejects, once it has drained, when it cannot go on: the service refuses it
   * for good, or see `onError`. Where nobody handles that it is an unhandled rejection.
   */
  readonly ended: Promise<void>;
}

/** With everything filled in. */
export interface ConsumerSettings<Payload> extends ConsumeOptions<Payload> {
  readonly concurrency: number;
  readonly leaseSeconds: number;
  readonly maxLeaseSeconds: number;
  readonly waitSeconds: number;
  readonly backoff: (attempt: number) => number;
}

/** @throws a `TypeError` for options that could not work. */
export function consume<Payload>(
  call: Call,
  world: World,
  handler: Handler<Payload>,
  options: ConsumeOptions<Payload>,
): Consumer {
  const { concurrency = 10, leaseSeconds = 60, waitSeconds = 20, backoff = defaultBackoff } = options;
  const { maxLeaseSeconds = Math.max(3_600, leaseSeconds) } = options;
  checkWhole('concurrency', concurrency, 1, 10_000);
  checkWhole('leaseSeconds', leaseSeconds, 1, 43_200);
  checkWhole('waitSeconds', waitSeconds, 0, 20);
  checkWhole('maxLeaseSeconds', maxLeaseSeconds, leaseSeconds, 2 ** 31 - 1);
  const settings = { ...options, concurrency, leaseSeconds, maxLeaseSeconds, waitSeconds, backoff };
  return new Loop(call, world, handler, settings);
}

function defaultBackoff(attempt: number): number {
  return Math.min(2 ** attempt, 900);
}

function checkWhole(name: string, value: number, from: number, to: number): void {
  if (Number.isInteger(value) && value >= from && value <= to) return;
  throw new TypeError(`${name} must be a whole number from ${String(from)} to ${String(to)}`);
}
