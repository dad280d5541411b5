/** Work that is due at intervals, where no timer can do it: a process that is frozen between requests. */
export interface Upkeep {
  /** Registers work. Returns a function that ends it. */
  repeat(work: () => Promise<void>, everyMs: number): () => void;
  /** Does what is due. Resolves when it is done. */
  run(): Promise<void>;
}

/** @param monotonicMs milliseconds that never go back. */
export function createUpkeep(monotonicMs: () => number): Upkeep {
  const works = new Set<{ readonly work: () => Promise<void>; readonly everyMs: number; dueAt: number }>();
  return {
    repeat(work, everyMs) {
      const entry = { work, everyMs, dueAt: monotonicMs() + everyMs };
      works.add(entry);
      return () => works.delete(entry);
    },
    async run() {
      const now = monotonicMs();
      const due = [...works].filter(({ dueAt }) => dueAt <= now);
      for (const entry of due) entry.dueAt = now + entry.everyMs;
      await Promise.all(due.map(({ work }) => work()));
    },
  };
}
