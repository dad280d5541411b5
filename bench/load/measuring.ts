import { cpuSeconds } from '../harness/cores.ts';
import { createRecorder } from '../harness/histogram.ts';
import type { Measurement } from './job.ts';

/** Counts answers between `begin` and `end`, and nothing before or after. */
export interface Meter {
  begin(): void;
  answered(ms: number, problem?: string): void;
  failed(problem: string): void;
  end(): Measurement;
}

export function createMeter(serverPid: number | null): Meter {
  const recorder = createRecorder();
  let errors = 0;
  let firstError: string | null = null;
  let begun = 0;
  let measuring = false;
  let cpuBefore: number | null = null;

  const fail = (problem: string): void => {
    errors++;
    firstError ??= problem;
  };
  return {
    begin() {
      cpuBefore = serverPid === null ? null : cpuSeconds(serverPid);
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
      const cpuAfter = serverPid === null ? null : cpuSeconds(serverPid);
      return {
        requests: recorder.count,
        errors,
        firstError,
        perSecond: recorder.count / seconds,
        latency: recorder.summary(),
        serverCores: cpuBefore === null || cpuAfter === null ? null : (cpuAfter - cpuBefore) / seconds,
      };
    },
  };
}
