/**
 * A time that goes on by monotonic time and follows a reference, another clock, without believing its sudden steps. With
 * `ahead` for the reference minus the followed time, at each reading:
 *
 * - `|ahead| <= tolerance`: it is followed, by at most a tenth of the monotonic time since the last reading.
 * - otherwise it is in doubt. What has stood for `confirm` of monotonic time, which is the least `ahead` of that time, is
 *   believed in one step. A difference that is gone, or on the other side, begins anew.
 *
 * So between two readings it runs at 0.9 to 1.1 of monotonic time, but for steps that are believed, and a reference that
 * has been right for `confirm` is followed whatever it did before. No timer: all is worked out when it is asked. If nobody
 * asks for hours, a step is first in doubt when it is first seen.
 *
 * All times and lengths are in one unit, the caller's.
 */
export interface Follower {
  /** The followed time. `mono` never goes back. */
  follow(reference: number, mono: number): number;
  /** As of the last reading; undefined: the reference is followed. */
  doubt(): Doubt | undefined;
}

/** A difference that is not believed yet. */
export interface Doubt {
  /** The least since the doubt began: positive where the reference is ahead. */
  readonly by: number;
  /** For how long, in monotonic time. */
  readonly stood: number;
}

export interface FollowerOptions {
  /** What the followed time is at `mono`. */
  readonly time: number;
  readonly mono: number;
  readonly tolerance: number;
  readonly confirm: number;
  /** Of an earlier process: it counts on. */
  readonly doubt?: Doubt | undefined;
  /** A doubt begins. */
  readonly onDoubt?: (by: number) => void;
  readonly onBelieved?: (by: number) => void;
}

/** Of monotonic time. NTP slews by up to a twelfth (chrony), so what is slewed is never in doubt. */
const SLEW = 0.1;

export function createFollower(options: FollowerOptions): Follower {
  const { tolerance, confirm, onDoubt, onBelieved } = options;
  let offset = options.time - options.mono;
  let readAt = options.mono;
  let doubt = options.doubt;

  function lookAt(ahead: number, elapsed: number): void {
    if (Math.abs(ahead) <= tolerance) {
      doubt = undefined;
      const most = SLEW * elapsed;
      offset += Math.max(-most, Math.min(most, ahead));
    } else if (doubt === undefined || Math.sign(doubt.by) !== Math.sign(ahead)) {
      doubt = { by: ahead, stood: 0 };
      onDoubt?.(ahead);
    } else {
      const by = Math.abs(ahead) < Math.abs(doubt.by) ? ahead : doubt.by;
      doubt = { by, stood: doubt.stood + elapsed };
      if (doubt.stood < confirm) return;
      offset += by;
      doubt = undefined;
      onBelieved?.(by);
    }
  }

  return {
    follow(reference, mono) {
      const elapsed = mono - readAt;
      readAt = mono;
      lookAt(reference - (mono + offset), elapsed);
      return mono + offset;
    },
    doubt: () => doubt,
  };
}
