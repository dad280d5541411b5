import type { Test } from 'tap';

/** States tests that run beside each other, because they mostly wait. What they print comes one after the other. */
export function beside(t: Test): (name: string, test: (t: Test) => void | Promise<void>) => void {
  t.jobs = 10;
  return (name, test) => {
    void t.test(name, { buffered: true }, test);
  };
}
