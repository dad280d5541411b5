import type { Call } from './call.ts';
import { consume, type ConsumeOptions, type Consumer, type Handler } from './consume.ts';
import { eventFrom, type TriggersEvent } from './event.ts';
import { lease, type LeaseOptions, type Leases } from './lease.ts';
import type { ManyResult } from './many.ts';
import { randomKey } from './new-event.ts';
import type { CallOptions } from './options.ts';
import { inOrder, settle, type SettledItem, type Settlements } from './settle.ts';
import type { WireInboxEvent } from './wire.ts';
import type { World } from './world.ts';
import { walk, type ListOptions, type Page, type Walk } from './walk.ts';

/** A pending event. */
export interface InboxEvent<Payload = Record<string, unknown>> extends TriggersEvent<Payload> {
  /** The end of its lease; null: it is free. */
  readonly leasedUntil: string | null;
}

export type InboxPage<Payload = Record<string, unknown>> = Page<InboxEvent<Payload>>;
export type InboxWalk<Payload = Record<string, unknown>> = Walk<InboxEvent<Payload>>;

export interface Inbox {
  /**
   * The pending events, oldest first, each once: those that were there at the start of the walk. Acknowledging while you
   * walk does not disturb it. Nothing is reserved: a second consumer sees the same events.
   */
  list<Payload = Record<string, unknown>>(options?: ListOptions): InboxWalk<Payload>;
  /**
   * Hands out events that no other call gets while their leases run. Settle each: one that is not settled is handed out again
   * when its lease has run out. Resolves with no events where there are none.
   */
  lease<Payload = Record<string, unknown>>(options?: LeaseOptions): Promise<Leases<Payload>>;
  /**
   * Handles events as they come, several at once, until it is stopped. It leases them, extends leases, settles, and survives
   * restarts of the service. Any number of consumers may share an inbox.
   */
  consume<Payload = Record<string, unknown>>(
    handler: Handler<Payload>,
    options?: ConsumeOptions<Payload>,
  ): Consumer;
  /** Settles leases, in requests of up to 500. Look at the outcomes: it resolves also where leases are lost. */
  settle(settlements: Settlements, options?: CallOptions): Promise<ManyResult<SettledItem>>;
}

export function createInbox(call: Call, world: World): Inbox {
  return {
    list<Payload>(options: ListOptions = {}) {
      return walk(call, '/v1/inbox', options, (event): InboxEvent<Payload> => {
        const wire = event as WireInboxEvent;
        return { ...eventFrom(wire), leasedUntil: wire.leased_until };
      });
    },

    async lease<Payload>({ idempotencyKey = randomKey(), settle = {}, ...options }: LeaseOptions = {}) {
      const leases = await lease<Payload>(call, { ...options, idempotencyKey, settle: inOrder(settle) });
      const { events, settled, backlog } = leases;
      return { events, settled, backlog };
    },

    consume<Payload>(handler: Handler<Payload>, options: ConsumeOptions<Payload> = {}) {
      return consume(call, world, handler, options);
    },

    settle(settlements, options = {}) {
      return settle(call, settlements, options);
    },
  };
}
