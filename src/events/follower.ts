/**
 * A time that advances with monotonic time and follows a reference, another clock, without believing sudden steps of it. Let
 * `ahead` be the reference minus the followed time. At each reading:
 *
 * - `|ahead| <= tolerance`: the reference is followed, by at most a tenth of the monotonic time since the last reading.
 * - Otherwise the difference is in doubt. Once it has stood for `confirm` of monotonic time, the least `ahead` of that time is
 *   believed, in one step. The doubt ends when the difference is gone, and begins anew when it is on the other side.
 *
 * So between two readings the time runs at 0.9 to 1.1 of monotonic time, apart from steps that are believed, and a reference
 * that has been right for `confirm` is followed whatever it did before. There is no timer: everything is calculated at a
 * reading. If nobody reads for hours, the doubt begins with the first reading that sees the step.
 *
 * All times and lengths are in one unit, which the caller chooses.
 */
export interface Follower {
  /** The followed time. `mono` never goes back. */
  follow(reference: number, mono: number): number;
  /** As of the last reading. Undefined: the reference is followed. */
  doubt(): Doubt | undefined;
}

/** A difference that is not believed yet. */
export interface Doubt {
  /** The least since the doubt began: positive where the reference is ahead. */
  readonly by: number;
  /** How long the doubt has stood, in monotonic time. */
  readonly stood: number;
}

export interface FollowerOptions {
  /** The followed time at `mono`. */
  readonly time: number;
  readonly mono: number;
  readonly tolerance: number;
  readonly confirm: number;
  /** The doubt of an earlier process; it continues. */
  readonly doubt?: Doubt | undefined;
  /** Called when a doubt begins. */
  readonly onDoubt?: (by: number) => void;
  readonly onBelieved?: (by: number) => void;
}

/** Relative to monotonic time. NTP slews by up to a twelfth (chrony), so a clock that is slewed is never in doubt. */
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
