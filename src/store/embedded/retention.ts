import { formatMicros } from '../../events/clock.ts';
import type { Micros } from '../event.ts';
import { createFollower } from '../../events/follower.ts';
import type { Doubt } from '../../events/follower.ts';
import { isPassing } from '../store-errors.ts';
import type { StoreLog } from '../store-log.ts';
import { readValue } from './database.ts';
import type { Lmdb } from './database.ts';
import { NO_TENANT } from './writer.ts';
import type { Writer } from './writer.ts';
import { isIntact, jsonBody, jsonEntry } from './seal.ts';
import { sequenceKey, sequenceOf } from './sequence.ts';

/** Decides when expired data may be deleted for good. Data that is hidden too early comes back; deleted data does not. */
export interface Retention {
  /** Events up to this time may be deleted: they expired a day ago, by a clock and a TTL that have stood for a day of uptime. */
  readonly deletableTo: () => Micros;
  /** Claims that ended by this time may be deleted. */
  readonly claimsDeletableTo: () => Micros;
}

interface Parts {
  readonly lmdb: Lmdb;
  readonly writer: Pick<Writer, 'write'>;
  readonly now: () => Micros;
  readonly monotonicMs: () => number;
  /** As configured. */
  readonly eventTtl: Micros;
  readonly newestTime: Micros;
  readonly log: Pick<StoreLog, 'warn'>;
}

const DAY_MS = 86_400_000;
/** Time from expiry to deletion, as on DynamoDB: meanwhile somebody can correct a wrong clock or TTL. */
const MARGIN: Micros = 86_400e6;
/** The end of a claim is compared with times of events, and an event may be 2 s old when it is stored. */
const CLAIMS_MARGIN: Micros = 60e6;
/** A smaller gap comes from a restart or a suspended machine, and is much smaller than the margin. */
const SLACK_MS = 3_600_000;
const REVIEW_MS = 10_000;
/** A process that is killed loses at most this much uptime. */
const SAVE_MS = 600_000;
const WARN_MS = 3_600_000;

/**
 * Deletion has a clock of its own, because `now()` may have been set to anything. This clock advances with uptime. It follows
 * `now()` while that is at most an hour ahead, or once it has been farther ahead for a whole day of uptime (`Follower`). The
 * clock is stored in the folder. In a folder of an older build it starts at the newest event, which is only as right as the
 * clock that dated it. In the same way a shorter TTL counts for deletion once it has been configured for a day of uptime.
 *
 * Why: docs/decisions/007-one-time-that-is-not-believed-at-once.md.
 */
export function createRetention(parts: Parts): Retention {
  const { lmdb, writer, now, monotonicMs, eventTtl, newestTime } = parts;
  const started = monotonicMs();
  const saved = readSaved(lmdb);
  const before = saved === 'damaged' ? undefined : saved;
  const clock = createFollower({
    time: startTime(saved, newestTime, now) / 1000,
    mono: started,
    tolerance: SLACK_MS,
    confirm: DAY_MS,
    doubt: before?.doubt,
  });
  const ttl = createTtl(before?.ttl, eventTtl, started);
  const report = createReport(parts);
  let reviewedAt = -Infinity;
  let savedAt = -Infinity;

  const follow = (time: Micros, mono: number): Micros => Math.floor(clock.follow(time / 1000, mono) * 1000);

  return {
    deletableTo() {
      const [mono, time] = [monotonicMs(), now()];
      // `now()` may have gone back, so the earlier of the two times counts.
      const trusted = Math.min(time, follow(time, mono));
      const kept = ttl.kept(mono);
      const deletableTo = trusted - kept - MARGIN;
      if (mono - reviewedAt >= REVIEW_MS) {
        reviewedAt = mono;
        const ahead = clock.doubt() === undefined ? 0 : time - trusted;
        report({ mono, time, ahead, kept, deletableTo });
        if (mono - savedAt >= SAVE_MS) {
          savedAt = mono;
          save({ clock: follow(time, mono), doubt: clock.doubt(), ttl: ttl.state(mono) });
        }
      }
      return deletableTo;
    },

    claimsDeletableTo() {
      const time = now();
      return Math.min(time, follow(time, monotonicMs())) - CLAIMS_MARGIN;
    },
  };

  function save(state: Saved): void {
    const { key, value } = jsonEntry(KEY, state);
    writer
      .write(NO_TENANT, value.length, () => {
        lmdb.meta.putSync(key, value);
      })
      .catch((error: unknown) => {
        // The store is closed, failed or busy. The state that was saved before is only more cautious.
        if (isPassing(error)) return;
        throw error;
      });
  }
}

interface Review {
  readonly mono: number;
  readonly time: Micros;
  /** How far `time` is ahead of the deletion clock; 0: it is not in doubt. */
  readonly ahead: Micros;
  /** The TTL that counts for deletion. */
  readonly kept: Micros;
  readonly deletableTo: Micros;
}

/** Reports what is not deleted yet and why, at first, then each hour, and when it is over. */
function createReport({ lmdb, eventTtl, log }: Parts): (review: Review) => void {
  let warnedAt: number | undefined;

  return ({ mono, time, ahead, kept, deletableTo }) => {
    const reasons: string[] = [];
    if (ahead > 0) {
      reasons.push(
        `the clock is ${seconds(ahead)} s ahead of the time that has passed (was it set, or is it wrong?)`,
      );
    }
    if (kept > eventTtl) {
      reasons.push(`EVENT_TTL_SECONDS was ${seconds(kept)} before and is ${seconds(eventTtl)} now`);
    }
    if (reasons.length === 0) {
      if (warnedAt !== undefined) log.warn({ now: formatMicros(time) }, 'expired events are deleted again');
      warnedAt = undefined;
      return;
    }
    if (warnedAt !== undefined && mono - warnedAt < WARN_MS) return;
    const held = firstAfter(lmdb, deletableTo);
    if (held === undefined || held > time - eventTtl - MARGIN) return;
    warnedAt = mono;
    log.warn(
      { now: formatMicros(time), oldest_event: formatMicros(held) },
      `expired events are hidden but not deleted until this has stood for a day of uptime: ${reasons.join('; ')}`,
    );
  };
}

function seconds(time: Micros): string {
  return (time / 1e6).toFixed(0);
}

interface TtlState {
  /** The TTL that counts for deletion. */
  readonly kept: Micros;
  /** The TTL that was configured last. */
  readonly wanted: Micros;
  /** How long it has been configured, in ms of uptime. */
  readonly wantedFor: number;
}

/** The configured TTL. An earlier, longer one still counts until the new one has stood for a day of uptime. */
function createTtl(before: TtlState | undefined, wanted: Micros, started: number) {
  let kept = Math.max(wanted, before?.kept ?? 0);
  const stoodBefore = before?.wanted === wanted ? before.wantedFor : 0;
  const wantedFor = (mono: number): number => stoodBefore + mono - started;

  return {
    kept(mono: number): Micros {
      if (wantedFor(mono) >= DAY_MS) kept = wanted;
      return kept;
    },
    state: (mono: number): TtlState => ({ kept, wanted, wantedFor: wantedFor(mono) }),
  };
}

/** The state that is stored under `KEY` in the table `meta`. */
interface Saved {
  /** Time of the deletion clock. */
  readonly clock: Micros;
  readonly doubt?: Doubt | undefined;
  readonly ttl: TtlState;
}

const KEY = Buffer.from('retention');

function readSaved({ meta }: Lmdb): Saved | 'damaged' | undefined {
  const value = readValue(meta, KEY);
  if (value === undefined) return undefined;
  return isIntact(KEY, value) ? (jsonBody(value) as Saved) : 'damaged';
}

function startTime(saved: Saved | 'damaged' | undefined, newestTime: Micros, now: () => Micros): Micros {
  // Before all events, so that the doubt and the wait are as long as possible.
  if (saved === 'damaged') return 0;
  if (saved !== undefined) return saved.clock;
  return newestTime === 0 ? now() : newestTime;
}

/** Time of the oldest event after that time. */
function firstAfter({ events }: Lmdb, time: Micros): Micros | undefined {
  const start = sequenceKey(Math.max(0, time + 1));
  const [key] = events.getKeys({ start, limit: 1 });
  // A damaged key shows no time; the sweep removes it.
  return key && sequenceOf(key);
}
