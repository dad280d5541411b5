/**
 * Work that takes milliseconds of CPU, such as making a page of an inbox, spread over the turns of the event loop, so that short
 * requests are answered in between. While jobs wait, tenants take turns.
 */
export interface LoopTurns {
  /** Runs the job: at once while this turn of the event loop has time left, else in a later one. */
  run(tenant: string, job: () => void): void;
}

/** @param msPerTurn how much of a turn jobs may take; the last one may go over it. */
export function createLoopTurns(msPerTurn: number): LoopTurns {
  /** By tenant, in the order of their turns. */
  const waiting = new Map<string, (() => void)[]>();
  let spentMs = 0;
  let scheduled = false;

  function timed(job: () => void): void {
    const start = performance.now();
    job();
    spentMs += performance.now() - start;
    if (scheduled) return;
    scheduled = true;
    setImmediate(nextTurn);
  }

  function nextTurn(): void {
    scheduled = false;
    spentMs = 0;
    for (const [tenant, jobs] of waiting) {
      waiting.delete(tenant);
      const job = jobs.shift();
      if (jobs.length > 0) waiting.set(tenant, jobs);
      if (job) timed(job);
      if (spentMs >= msPerTurn) return;
    }
  }

  return {
    run(tenant, job) {
      if (waiting.size === 0 && spentMs < msPerTurn) {
        timed(job);
        return;
      }
      const jobs = waiting.get(tenant);
      if (jobs) jobs.push(job);
      else waiting.set(tenant, [job]);
    },
  };
}
