import type { Micros } from '../event.ts';
import { StoreUnavailableError } from '../store-errors.ts';
import type { StoreLog } from '../store-log.ts';

/**
 * Compares the clocks that events are dated and judged by with the `Date` of answers. The SDK corrects the clock of its
 * signatures by itself, so DynamoDB takes what a clock that is off has dated: events that have expired when they are born,
 * or live too long, and claims whose end other instances see at another time.
 */
export interface ClockCheck {
  /**
   * Takes an answer into account.
   *
   * @param date its `Date` header. Absent, or not to be read: the answer says nothing.
   * @param sentAt what `read` gave before the request was sent.
   */
  answered(date: string | undefined, sentAt: readonly Micros[]): void;
  /** What the clocks say now. */
  read(): readonly Micros[];
  /** Throws a `StoreUnavailableError` while one of them is off by more than 5 minutes, as far as is known. */
  refuse(): void;
}

const WARN_MICROS = 5e6;
const REFUSE_MICROS = 300e6;
/** One node of many, or one answer, may be wrong. */
const ANSWERS = 3;

export function createClockCheck(clocks: readonly (() => Micros)[], log: StoreLog): ClockCheck {
  const read = () => clocks.map((clock) => clock());
  /** By how much a clock of ours is off, by each of the last answers: all of them to the same side. */
  let recent: readonly Micros[] = [];
  let warnedSkew: Micros = 0;

  /** What all of them say. */
  const skew = (): Micros =>
    recent.length < ANSWERS ? 0 : recent.reduce((a, b) => (Math.abs(a) < Math.abs(b) ? a : b));

  return {
    read,

    answered(date, sentAt) {
      const dated = Date.parse(date ?? '') * 1000;
      if (Number.isNaN(dated)) return;
      const receivedAt = read();
      const difference = receivedAt
        .map((at, i) => leastDifference(dated, sentAt[i] ?? at, at))
        .reduce((a, b) => (Math.abs(a) > Math.abs(b) ? a : b), 0);
      if (Math.abs(difference) <= WARN_MICROS) {
        recent = [];
        if (warnedSkew !== 0) log.warn({}, "the clock agrees with DynamoDB's again");
        warnedSkew = 0;
        return;
      }
      recent = [...recent, difference]
        .filter((one) => Math.sign(one) === Math.sign(difference))
        .slice(-ANSWERS);
      if (recent.length < ANSWERS || !hasChangedMuch(skew(), warnedSkew)) return;
      warnedSkew = skew();
      log.warn({ ahead_seconds: warnedSkew / 1e6 }, describeSkew(warnedSkew));
    },

    refuse() {
      if (Math.abs(skew()) > REFUSE_MICROS) throw new StoreUnavailableError(describeSkew(skew()));
    },
  };
}

/**
 * By how much a clock is off at least; positive: ahead. The answer was dated, in whole seconds, at a time between the
 * sending and the receiving: 0 if the clock may have been right then.
 */
function leastDifference(dated: Micros, sentAt: Micros, receivedAt: Micros): Micros {
  if (sentAt > dated + 1e6) return sentAt - (dated + 1e6);
  return Math.min(0, receivedAt - dated);
}

function hasChangedMuch(skew: Micros, from: Micros): boolean {
  return Math.abs(skew - from) > Math.max(WARN_MICROS, Math.abs(from) / 2);
}

function describeSkew(skew: Micros): string {
  const seconds = Math.abs(skew / 1e6).toFixed(0);
  const where = skew > 0 ? 'ahead of' : 'behind';
  const writes = Math.abs(skew) > REFUSE_MICROS ? '; no events are taken' : '';
  return (
    `the clock is ${seconds} s ${where} DynamoDB's${writes}: ` +
    `set this machine's clock; where that is right by now, times of events are still ahead: restart the service`
  );
}
