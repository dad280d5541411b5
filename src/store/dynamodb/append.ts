import type { Micros, StoredEvent } from '../../events/event.ts';
import type { Appended, Claim } from '../store.ts';
import { appendClaimed, type PackedEvent } from './claimed-append.ts';
import type { ClaimsTable } from './claims-table.ts';
import type { ClockCheck } from './clock-check.ts';
import type { Compression } from './compression.ts';
import { withDeadline, type Deadline } from './deadline.ts';
import { putItemOnce, putItems, type EventsTable } from './events-table.ts';
import { failureOf, isInvalid } from './failure.ts';
import { createGroupCommit, type GroupCommit, type Verdict } from './group-commit.ts';
import { toItem, type EventItem, type ItemOptions } from './item.ts';

export interface AppendOptions extends ItemOptions {
  readonly events: EventsTable;
  readonly claims: ClaimsTable;
  readonly compression: Compression;
  readonly now: () => Micros;
  readonly clockCheck: ClockCheck | undefined;
}

/** The two ways into the events table. */
export interface Appends {
  /** With others in one batch. `deadline` on `performance.now()`. */
  plain(event: StoredEvent, deadline: number): Promise<Appended>;
  /** By itself: a batch takes no conditions. */
  claimed(event: StoredEvent, claim: Claim, deadline: Deadline): Promise<Appended>;
  /** Refuses further plain ones; resolves when those under way are over. */
  close(): Promise<void>;
}

export function createAppends(options: AppendOptions): Appends {
  const { events, compression, clockCheck } = options;
  const commits = commitTo(events);

  const pack = async (event: StoredEvent): Promise<PackedEvent> => {
    clockCheck?.refuse();
    const payloadBytes = Buffer.byteLength(event.payload);
    const packed = compression.pack(event.payload, payloadBytes);
    // Most are short and need no turn.
    return { event, payload: typeof packed === 'string' ? packed : await packed, payloadBytes };
  };

  return {
    async plain(event, deadline) {
      const { payload, payloadBytes } = await pack(event);
      await commits.add(toItem(event, payload, payloadBytes, options), deadline);
      return { outcome: 'stored' };
    },

    // Packed first, so that the time between claim and event is short.
    claimed: async (event, claim, deadline) => appendClaimed(options, await pack(event), claim, deadline),

    close: () => commits.close(),
  };
}

const COMMIT_LIMITS = {
  batchItems: 25,
  batchBytes: 4 * 1024 * 1024,
  slots: 16,
  queuedItems: 4_096,
  queuedBytes: 64 * 1024 * 1024,
  backoffMs: 25,
  backoffCapMs: 400,
};

function commitTo(events: EventsTable): GroupCommit<EventItem> {
  const left = (deadline: number) => deadline - performance.now();
  return createGroupCommit<EventItem>({
    sendBatch: (items, deadline) => putItems(events, items, left(deadline)),
    sendOne: (item, deadline) => withDeadline((each) => putItemOnce(events, item, each), left(deadline)),
    verdict: verdictOn,
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
    random: Math.random,
  });
}

function verdictOn(error: unknown): Verdict {
  // One item that is too large spoils its batch.
  if (isInvalid(error)) return 'singly';
  const verdicts = { throttled: 'again', refused: 'fail', unclear: 'singly' } as const;
  return verdicts[failureOf(error)];
}

/** About what the item takes on the wire: binary goes as base64. */
function bytesOf({ payload, payload_bytes, metadata = '', source = '', event_type }: EventItem): number {
  const packed = typeof payload === 'string' ? payload_bytes : Math.ceil(payload.length / 3) * 4;
  return packed + metadata.length + source.length + event_type.length + 512;
}
