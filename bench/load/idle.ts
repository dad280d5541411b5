import { createMeter } from './measuring.ts';
import { spinUntil } from './steady.ts';
import type { Measurement, Pace, Target, Timed } from './job.ts';

/**
 * The open loop of `runSteady` without requests: how late the machine alone makes what is due, because it has stopped this
 * core for a while. No server on such a core can answer everything sooner.
 */
export function runIdle(job: Target & Timed & Pace): Measurement {
  const meter = createMeter(job);
  const start = performance.now();
  const measureFrom = start + job.warmUpSeconds * 1000;
  const end = measureFrom + job.seconds * 1000;
  let begun = false;
  for (let sent = 0; ;) {
    const now = performance.now();
    if (!begun && now >= measureFrom) {
      meter.begin();
      begun = true;
    }
    if (now >= end) return meter.end();
    const due = start + (sent++ * 1000) / job.perSecond;
    spinUntil(due);
    if (due >= measureFrom) meter.answered(performance.now() - due);
  }
}
