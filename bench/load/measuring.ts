import { cpuSeconds } from '../harness/cores.ts';
import { createRecorder } from '../harness/histogram.ts';
import { writtenBytes } from '../harness/written.ts';
import type { Measurement, Target } from './job.ts';

/** Counts answers between `begin` and `end`, and nothing before or after. */
export interface Meter {
  begin(): void;
  answered(ms: number, problem?: string): void;
  failed(problem: string): void;
  end(): Measurement;
}

export function createMeter({ pid, storePid = null }: Pick<Target, 'pid' | 'storePid'>): Meter {
  const recorder = createRecorder();
  let errors = 0;
  let firstError: string | null = null;
  let begun = 0;
  let measuring = false;
  const serverCpu = createCounter(pid, cpuSeconds);
  const storeCpu = createCounter(storePid, cpuSeconds);
  const serverWrites = createCounter(pid, writtenBytes);

  const fail = (problem: string): void => {
    errors++;
    firstError ??= problem;
  };
  return {
    begin() {
      serverCpu.begin();
      storeCpu.begin();
      serverWrites.begin();
      begun = performance.now();
      measuring = true;
    },
    answered(ms, problem) {
      if (!measuring) return;
      recorder.record(ms);
      if (problem !== undefined) fail(problem);
    },
    failed(problem) {
      if (measuring) fail(problem);
    },
    end() {
      measuring = false;
      const seconds = (performance.now() - begun) / 1000;
      return {
        requests: recorder.count,
        errors,
        firstError,
        perSecond: recorder.count / seconds,
        latency: recorder.summary(),
        serverCores: perSecond(serverCpu.since(), seconds),
        storeCores: perSecond(storeCpu.since(), seconds),
        writtenBytes: serverWrites.since(),
      };
    },
  };
}

/** What the system counts of a process. */
function createCounter(pid: number | null, read: (pid: number) => number | null) {
  const now = () => (pid === null ? null : read(pid));
  let before: number | null = null;
  return {
    begin(): void {
      before = now();
    },
    since(): number | null {
      const after = now();
      return before === null || after === null ? null : after - before;
    },
  };
}

function perSecond(count: number | null, seconds: number): number | null {
  return count === null ? null : count / seconds;
}
