import type { Logger } from 'pino';
import type { ClockStep, ServiceClock } from './events/clock.ts';

/** A smaller difference at start is not reported. */
const REPORTED_MICROS = 5e6;

/** Reports of the clock for the operator; docs/operations.md says what to do. */
export function clockLog(logger: Logger): {
  readonly step: (step: ClockStep) => void;
  /** To be called once, after `startAfter`. */
  readonly start: (clock: ServiceClock) => void;
} {
  return {
    step({ seconds, believed }) {
      const size = `${Math.abs(seconds).toFixed(1)} s ${seconds > 0 ? 'forward' : 'back'}`;
      const message = believed
        ? `the wall clock has stayed where it is after a step of ${size}: it is followed`
        : `the wall clock has stepped ${size}: it is not followed unless it stays there for 10 s`;
      logger.warn({ step_seconds: seconds }, message);
    },

    start(clock) {
      const ahead = clock.upcoming() - clock.now();
      if (ahead < REPORTED_MICROS) return;
      const seconds = ahead / 1e6;
      logger.warn(
        { ahead_seconds: seconds },
        `the newest stored event is ${seconds.toFixed(1)} s ahead of the wall clock: ` +
          'new events are dated after it, at 0.9 of real time, until the wall clock has caught up',
      );
    },
  };
}
