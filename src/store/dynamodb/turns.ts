/**
 * A bounded number of places in which jobs run. While all are taken, other jobs wait, and tenants take turns: a tenant with a
 * thousand waiting jobs delays another's job by one, not by a thousand.
 */
export interface Turns {
  /** Starts the job when it is its turn, or at once if there is a place. Settles as the job does. */
  run<T>(tenant: string, job: () => Promise<T>): Promise<T>;
}

/** @param mostOfOne places that one tenant may have. Where jobs may hang, the rest is left to other tenants. */
export function createTurns(places: number, mostOfOne = places): Turns {
  /** Waiting jobs by tenant, in the order of their turns. */
  const waiting = new Map<string, (() => void)[]>();
  const running = new Map<string, number>();
  let taken = 0;

  const mayStart = (tenant: string) => taken < places && (running.get(tenant) ?? 0) < mostOfOne;

  const enter = (tenant: string) => {
    taken += 1;
    running.set(tenant, (running.get(tenant) ?? 0) + 1);
  };

  const leave = (tenant: string) => {
    taken -= 1;
    const left = (running.get(tenant) ?? 0) - 1;
    if (left > 0) running.set(tenant, left);
    else running.delete(tenant);
  };

  const startNext = () => {
    for (const [tenant, jobs] of waiting) {
      if (!mayStart(tenant)) continue;
      const start = jobs.shift();
      waiting.delete(tenant);
      if (jobs.length > 0) waiting.set(tenant, jobs);
      // The place is taken here, because it would look free until the job runs.
      enter(tenant);
      start?.();
      return;
    }
  };

  return {
    async run(tenant, job) {
      if (mayStart(tenant)) enter(tenant);
      else {
        await new Promise<void>((resolve) => {
          const jobs = waiting.get(tenant);
          if (jobs) jobs.push(resolve);
          else waiting.set(tenant, [resolve]);
        });
      }
      try {
        return await job();
      } finally {
        leave(tenant);
        startNext();
      }
    },
  };
}
