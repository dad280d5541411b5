/** Time and chance, which tests replace. */
export interface World {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Runs something once, so many milliseconds from now. @returns what takes that back. */
  readonly after: (ms: number, run: () => void) => () => void;
}

export const SYSTEM: World = {
  now: () => performance.now(),
  random: () => Math.random(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => {
      clearTimeout(timer);
    };
  },
};
