import TinyQueue from 'tinyqueue';

/** Calls `due` for a tenant at times that are set beforehand, by one timer for each tenant. */
export interface Later {
  /** In so many milliseconds. */
  readonly in: (tenant: string, ms: number) => void;
}

/** Times are rounded up to this part of what is left until then, so that there are few however far away they are. */
const ROUNDED_TO = 1 / 100;
/** What `setTimeout` takes: 24 days. */
const LONGEST_MS = 2 ** 31 - 1;

interface Times {
  readonly queue: TinyQueue<number>;
  readonly known: Set<number>;
  timer: { readonly at: number; readonly timeout: NodeJS.Timeout } | undefined;
}

/** @param grainMs times are rounded up to multiples of this, or of more where they are far away, so that many have one call. */
export function createLater(grainMs: number, due: (tenant: string) => void): Later {
  const byTenant = new Map<string, Times>();

  function setTimer(tenant: string, times: Times): void {
    const at = times.queue.peek();
    if (at === undefined) {
      byTenant.delete(tenant);
      return;
    }
    if (times.timer !== undefined && times.timer.at <= at) return;
    clearTimeout(times.timer?.timeout);
    const ms = Math.min(Math.max(at - performance.now(), 0), LONGEST_MS);
    const timeout = setTimeout(() => {
      times.timer = undefined;
      const first = times.queue.pop();
      if (first !== undefined) times.known.delete(first);
      due(tenant);
      setTimer(tenant, times);
    }, ms).unref();
    times.timer = { at, timeout };
  }

  return {
    in(tenant, ms) {
      const grain = Math.max(grainMs, 2 ** Math.floor(Math.log2(Math.max(ms, 1) * ROUNDED_TO)));
      const at = Math.ceil((performance.now() + ms) / grain) * grain;
      const times = byTenant.get(tenant) ?? {
        queue: new TinyQueue<number>(),
        known: new Set(),
        timer: undefined,
      };
      if (times.known.has(at)) return;
      byTenant.set(tenant, times);
      times.known.add(at);
      times.queue.push(at);
      setTimer(tenant, times);
    },
  };
}
