import type { ReleaseItem, Settlement } from './settle.ts';

/** Thrown by a handler: this event cannot be handled, now or later. It goes into quarantine. */
export class Reject extends Error {
  override readonly name = 'Reject';
}

/** Thrown by a handler: gives the event back as the options say. */
export class Release extends Error {
  override readonly name = 'Release';
  readonly options: Omit<ReleaseItem, 'token'>;

  constructor(options: Omit<ReleaseItem, 'token'> = {}) {
    super(options.reason ?? 'released');
    this.options = options;
  }
}

/** What to do with a lease. */
export interface Verdict {
  readonly settlement: Settlement;
  /** The handler threw it to say so: it is no error. */
  readonly isExpected: boolean;
}

/** @param backoff seconds; asked only where they matter. @throws what it throws, and a `TypeError` for what is no delay. */
export function settlementFor(thrown: unknown, token: string, backoff: () => number): Verdict {
  if (thrown instanceof Reject) {
    return { settlement: { action: 'reject', token, reason: reasonOf(thrown) }, isExpected: true };
  }
  if (thrown instanceof Release) {
    const { delaySeconds = 0, failed, reason = '' } = thrown.options;
    const delay = delayOf(delaySeconds);
    return {
      settlement: { action: 'release', token, failed, delaySeconds: delay, reason: reasonFrom(reason) },
      isExpected: true,
    };
  }
  const delaySeconds = delayOf(backoff());
  return {
    settlement: { action: 'release', token, delaySeconds, reason: reasonOf(thrown) },
    isExpected: false,
  };
}

const LONGEST_DELAY_S = 43_200;

/** One delay that the service refuses would cost all settlements of the request. */
function delayOf(seconds: number): number {
  if (Number.isNaN(seconds)) throw new TypeError('the delay of a release must be a number of seconds');
  return Math.ceil(Math.min(Math.max(seconds, 0), LONGEST_DELAY_S));
}

function reasonOf(thrown: unknown): string | undefined {
  if (thrown instanceof Error) return reasonFrom(thrown.message || thrown.name);
  return typeof thrown === 'string' ? reasonFrom(thrown) : undefined;
}

/** Up to 256 characters without half ones: a text that the service refuses would cost all settlements of the request. */
function reasonFrom(text: string): string | undefined {
  const reason = text
    .slice(0, 256)
    .replaceAll(/[\p{Cc}\p{Cs}]/gu, ' ')
    .trim();
  return reason === '' ? undefined : reason;
}
