import type { LoopTurns } from './loop-turns.ts';

/** How long one slice of a job may take before others get their turn; its last step may go over it. */
const SLICE_MS = 2;

/**
 * Runs a job of many short steps in slices, between which the event loop and other jobs go on.
 *
 * @param step returns whether there is more to do. What it throws rejects the whole.
 */
export function inSlices(turns: LoopTurns, tenant: string, step: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const slice = (): void => {
      const until = performance.now() + SLICE_MS;
      try {
        do {
          if (!step()) {
            resolve();
            return;
          }
        } while (performance.now() < until);
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
        return;
      }
      setImmediate(() => {
        turns.run(tenant, slice);
      });
    };
    turns.run(tenant, slice);
  });
}
