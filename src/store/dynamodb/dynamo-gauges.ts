import type { Micros } from '../event.ts';
import type { EventStore } from '../event-store.ts';
import type { InboxState, StoreGauges } from '../store-gauges.ts';
import type { trackCalls } from './calls.ts';
import { oldestPending, type InboxOptions } from './inbox-reads.ts';

interface Parts {
  readonly inbox: InboxOptions;
  readonly calls: Pick<ReturnType<typeof trackCalls>, 'run'>;
  /** Events up to this time have expired. */
  readonly horizon: () => Micros;
  readonly countPending: EventStore['countPending'];
  readonly commitQueue: StoreGauges['commitQueue'];
}

export function createGauges({ inbox, calls, horizon, countPending, commitQueue }: Parts): StoreGauges {
  return {
    commitQueue,

    /** One tenant after the other, so that a scrape is never a burst of requests. */
    async inboxes(lately) {
      const states: InboxState[] = [];
      for (const tenant of lately) {
        const oldest = await calls.run(tenant, (deadline) =>
          oldestPending(inbox, tenant, horizon(), deadline),
        );
        if (oldest !== null) states.push({ tenant, oldest, pending: (await countPending(tenant)).count });
      }
      return states;
    },
  };
}
