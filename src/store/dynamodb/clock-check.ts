import type { Micros } from '../event.ts';
import { StoreUnavailableError } from '../store-errors.ts';
import type { StoreLog } from '../store-log.ts';

/**
 * Compares the clocks that date and judge events with the `Date` of answers. The SDK corrects the clock of its signatures by
 * itself, so DynamoDB accepts what a wrong clock has dated: events that have expired already or live too long, and claims whose
 * end other instances see at another time.
 */
export interface ClockCheck {
  /**
   * Takes an answer into account.
   *
   * @param date its `Date` header. When it is missing or not a date, the answer is ignored.
   * @param sentAt the result of `read` before the request was sent.
   */
  answered(date: string | undefined, sentAt: readonly Micros[]): void;
  /** The current times of the clocks. */
  read(): readonly Micros[];
  /** Throws a `StoreUnavailableError` while one of the clocks is known to be off by more than 5 minutes. */
  refuse(): void;
}

const WARN_MICROS = 5e6;
const REFUSE_MICROS = 300e6;
/** As many answers must agree, because one node of many, or one answer, may be wrong. */
const ANSWERS = 3;

export function createClockCheck(clocks: readonly (() => Micros)[], log: StoreLog): ClockCheck {
  const read = () => clocks.map((clock) => clock());
  /** How far a clock of this process is off, according to each of the last answers. All have the same sign. */
  let recent: readonly Micros[] = [];
  let warnedSkew: Micros = 0;

  /** How far it is off according to all of them; 0 while there are too few. */
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
 * How far a clock is off at least; positive: ahead. The answer was dated, in whole seconds, between sending and receiving. 0: the
 * clock may have been right.
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
    `set this machine's clock; if it is right again and only the times of events are still ahead, restart the service`
  );
}
