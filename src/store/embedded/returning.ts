import type { Micros } from '../event.ts';
import type { Watchers } from '../watchers.ts';
import type { LeasedPlaces } from './leased-places.ts';

/** Tells those who watch a tenant when leases of its events run out, by one timer for each tenant. */
export interface Returning {
  /** To be called when somebody begins to watch the tenant. */
  begin(tenant: string): void;
  /** To be called when events come back at that time. */
  at(tenant: string, until: Micros): void;
  readonly stop: () => void;
}

interface Alarm {
  readonly until: Micros;
  readonly timer: NodeJS.Timeout;
}

/** What `setTimeout` takes: 24 days. */
const LONGEST_MS = 2 ** 31 - 1;

export function createReturning(
  watchers: Watchers,
  places: Pick<LeasedPlaces, 'next'>,
  now: () => Micros,
): Returning {
  const alarms = new Map<string, Alarm>();

  function setAlarm(tenant: string, until: Micros): void {
    const known = alarms.get(tenant);
    if (known !== undefined && known.until <= until) return;
    clearTimeout(known?.timer);
    const ms = Math.min(Math.max(Math.ceil((until - now()) / 1_000), 0), LONGEST_MS);
    const timer = setTimeout(() => {
      alarms.delete(tenant);
      if (!watchers.isWatched(tenant)) return;
      watchers.tell(tenant);
      begin(tenant);
    }, ms).unref();
    alarms.set(tenant, { until, timer });
  }

  function begin(tenant: string): void {
    const until = places.next(tenant, now());
    if (until !== undefined) setAlarm(tenant, until);
  }

  return {
    begin,
    at(tenant, until) {
      if (watchers.isWatched(tenant)) setAlarm(tenant, until);
    },
    stop() {
      for (const { timer } of alarms.values()) clearTimeout(timer);
      alarms.clear();
    },
  };
}
