import type { Micros, StoredEvent } from '../event.ts';
import { StoreOverloadedError } from '../store-errors.ts';
import { createShares } from '../shares.ts';
import type { Appended, Claim } from '../event-store.ts';
import { CLAIMED_BYTES, withShare } from './payload-bytes.ts';
import { appendClaimed, type PackedEvent } from './claimed-append.ts';
import type { ClockCheck } from './clock-check.ts';
import type { Compression } from './compression.ts';
import { withDeadline, type Deadline } from './deadline.ts';
import { putItemOnce, putItems } from './events-table.ts';
import { failureOf, isInvalid } from './failure.ts';
import { createGroupCommit, type GroupCommit, type Verdict } from './group-commit.ts';
import { toItem, type EventItem, type ItemOptions } from './event-item.ts';
import { SINGLE_COST, SUCCESS, type Retries } from './retries.ts';
import type { Table } from './table.ts';
import type { CommitQueueState } from '../store-gauges.ts';
import type { StoreObserver } from '../store-observer.ts';

export interface AppendOptions extends ItemOptions {
  readonly events: Table;
  readonly claims: Table;
  readonly compression: Compression;
  readonly retries: Retries;
  readonly now: () => Micros;
  readonly clockCheck: ClockCheck | undefined;
  readonly observer?: StoreObserver;
}

/** The two ways into the events table. */
export interface Appends {
  /** Puts the event in a batch with others. `deadline` is a time of `performance.now()`. */
  plain(event: StoredEvent, deadline: number): Promise<Appended>;
  /** Puts the event by itself, because a batch takes no conditions. */
  claimed(event: StoredEvent, claim: Claim, deadline: Deadline): Promise<Appended>;
  /** Plain appends that are under way. */
  readonly queue: () => CommitQueueState;
  /** Refuses further plain appends; resolves when those under way are over. */
  close(): Promise<void>;
}

export function createAppends(options: AppendOptions): Appends {
  const { compression, clockCheck } = options;
  const commits = commitTo(options);
  const claimedBytes = createShares(CLAIMED_BYTES);

  const pack = async (event: StoredEvent, deadline: number): Promise<PackedEvent> => {
    clockCheck?.refuse();
    const { payload, tenant } = event;
    const payloadBytes = Buffer.byteLength(payload);
    const packed = compression.pack(payload, payloadBytes, { tenant, deadline });
    // Most payloads are short and need no turn of the compressor.
    if (typeof packed === 'string') return { event, payload: packed, payloadBytes };
    return { event, payload: await refusedAt(deadline, packed), payloadBytes };
  };

  return {
    async plain(event, deadline) {
      const { payload, payloadBytes } = await pack(event, deadline);
      await commits.add(toItem(event, payload, payloadBytes, options), deadline);
      return { outcome: 'stored' };
    },

    claimed: (event, claim, deadline) =>
      withShare(claimedBytes, event.tenant, async (take) => {
        if (!take(Buffer.byteLength(event.payload))) {
          throw new StoreOverloadedError('too many bytes of events with a claim are under way');
        }
        // The payload is packed first, so that the time between claim and event is short.
        return appendClaimed(options, await pack(event, deadline.at), claim, deadline);
      }),

    queue: () => ({ writes: commits.unsettled(), limit: 2 * COMMIT_LIMITS.queuedItems }),

    close: () => commits.close(),
  };
}

/** At the deadline the caller gets an answer, so nothing may be stored later: a caller that is refused tries again. */
async function refusedAt<T>(deadline: number, packing: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const refusal = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new StoreOverloadedError('a large payload waited too long'));
    }, deadline - performance.now());
  });
  try {
    return await Promise.race([packing, refusal]);
  } finally {
    clearTimeout(timer);
  }
}

/** Limits of the process. `queued…` is for one tenant that is alone; all tenants together have twice as much. */
const COMMIT_LIMITS = {
  batchItems: 25,
  batchBytes: 4 * 1024 * 1024,
  slots: 16,
  singles: 32,
  singlesPauseMs: 100,
  queuedItems: 4_096,
  queuedBytes: 64 * 1024 * 1024,
  backoffMs: 25,
  backoffCapMs: 400,
};

function commitTo({ events, retries, observer }: AppendOptions): GroupCommit<EventItem> {
  const left = (deadline: number) => deadline - performance.now();
  // Single puts have their own places, and their own price in the budget of retries.
  const sending = {
    retries: {
      ...retries,
      take: () => retries.take(SINGLE_COST),
      give: () => {
        retries.give(SUCCESS);
      },
    },
    turn: <T>(request: () => Promise<T>) => request(),
  };
  return createGroupCommit<EventItem>({
    sendBatch: (items, deadline) => putItems(events, items, left(deadline)),
    sendOne: (item, deadline) =>
      withDeadline((each) => putItemOnce(events, item, each), left(deadline), sending),
    verdict: verdictOn,
    tenant: ({ tenant }) => tenant,
    bytes: bytesOf,
    limits: COMMIT_LIMITS,
    clock: {
      now: () => performance.now(),
      defer: setImmediate,
      schedule(ms, run) {
        const timer = setTimeout(run, ms);
        return () => {
          clearTimeout(timer);
        };
      },
    },
    retries,
    random: Math.random,
    ...(observer && { observer }),
  });
}

function verdictOn(error: unknown): Verdict {
  // One item that is too large spoils its batch.
  if (isInvalid(error)) return 'singly';
  const verdicts = { throttled: 'retry', unsent: 'unreached', refused: 'fail', unclear: 'singly' } as const;
  return verdicts[failureOf(error)];
}

/** About the bytes of the item on the wire, where binary data is base64. */
function bytesOf({ payload, payload_bytes, metadata = '', source = '', event_type }: EventItem): number {
  const packed = typeof payload === 'string' ? payload_bytes : Math.ceil(payload.length / 3) * 4;
  return packed + metadata.length + source.length + event_type.length + 512;
}
