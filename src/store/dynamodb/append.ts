import type { Micros, StoredEvent } from '../event.ts';
import { StoreOverloadedError } from '../store-errors.ts';
import { createShares } from '../shares.ts';
import type { Appended, Claim, Failed } from '../event-store.ts';
import { CLAIMED_BYTES, withShare } from './payload-bytes.ts';
import { appendClaimed, type PackedEvent } from './claimed-append.ts';
import type { ClockCheck } from './clock-check.ts';
import { isWorthPacking, type Compression } from './compression.ts';
import { withDeadline, type Deadline } from './deadline.ts';
import { putItemOnce, putItems } from './events-table.ts';
import { failureOf, isInvalid, toStoreError } from './failure.ts';
import { forMany } from './for-many.ts';
import { createGroupCommit, type GroupCommit, type Verdict } from './group-commit.ts';
import { toItem, type EventItem, type ItemOptions } from './event-item.ts';
import { SINGLE_COST, SUCCESS, type Retries } from './retries.ts';
import type { Table } from './table.ts';
import { createTurns, type Turns } from './turns.ts';
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
  /**
   * `plain` for many events of one tenant. Events that find no room in the queue wait for it in here. One that is `failed` may be
   * stored, unless its error is a `StoreOverloadedError`.
   */
  plainMany(events: readonly StoredEvent[], deadline: number): Promise<readonly (Appended | Failed)[]>;
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
  /** Events by tenant that are on their way to the queue. */
  const beingPacked = new Map<string, number>();

  /** @param list turns of the events of one list; absent: the event comes alone. */
  const pack = async (event: StoredEvent, deadline: number, list?: Turns): Promise<PackedEvent> => {
    clockCheck?.refuse();
    const { payload, tenant } = event;
    const payloadBytes = Buffer.byteLength(payload);
    const job = () => compression.pack(payload, payloadBytes, { tenant, deadline });
    const alone = list === undefined || !isWorthPacking(payloadBytes);
    const packed = alone ? job() : list.run(tenant, async () => job());
    // Most payloads are short and need no turn of the compressor.
    if (typeof packed === 'string') return { event, payload: packed, payloadBytes };
    return { event, payload: await refusedAt(deadline, packed), payloadBytes };
  };

  const plain = async (event: StoredEvent, deadline: number, list?: Turns): Promise<Appended> => {
    const { tenant } = event;
    beingPacked.set(tenant, (beingPacked.get(tenant) ?? 0) + 1);
    const { payload, payloadBytes } = await pack(event, deadline, list).finally(() => {
      const left = (beingPacked.get(tenant) ?? 0) - 1;
      if (left > 0) beingPacked.set(tenant, left);
      else beingPacked.delete(tenant);
    });
    await commits.add(toItem(event, payload, payloadBytes, options), deadline);
    return { outcome: 'stored' };
  };

  return {
    plain: (event, deadline) => plain(event, deadline),

    plainMany(events, deadline) {
      const packing = createTurns(PACKED_AT_A_TIME);
      const each = (event: StoredEvent) =>
        plain(event, deadline, packing).catch((error: unknown) => ({
          outcome: 'failed' as const,
          error: toStoreError(error, options.events.name),
        }));
      const take = ({ tenant }: StoredEvent) =>
        commits.room(tenant) - (beingPacked.get(tenant) ?? 0) > LEFT_TO_SINGLE_WRITES;
      return forMany(events, each, { take, give: () => undefined });
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

/** Large payloads of one list that may be with the compressor at a time. */
const PACKED_AT_A_TIME = 8;

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

/** Lists put no more into the queue when their tenant could then put no more than these: they are for its single events. */
const LEFT_TO_SINGLE_WRITES = COMMIT_LIMITS.queuedItems / 4;

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
