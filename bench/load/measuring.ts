import { cpuSeconds } from '../harness/cores.ts';
import { createRecorder } from '../harness/histogram.ts';
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
  const serverCpu = createCpuMeter(pid);
  const storeCpu = createCpuMeter(storePid);

  const fail = (problem: string): void => {
    errors++;
    firstError ??= problem;
  };
  return {
    begin() {
      serverCpu.begin();
      storeCpu.begin();
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
        serverCores: serverCpu.cores(seconds),
        storeCores: storeCpu.cores(seconds),
      };
    },
  };
}

function createCpuMeter(pid: number | null) {
  const now = () => (pid === null ? null : cpuSeconds(pid));
  let before: number | null = null;
  return {
    begin(): void {
      before = now();
    },
    /** Kept busy in the `seconds` since then. */
    cores(seconds: number): number | null {
      const after = now();
      return before === null || after === null ? null : (after - before) / seconds;
    },
  };
}
