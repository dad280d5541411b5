import { withDeadline, type Deadline } from './deadline.ts';
import { getItem } from './events-table.ts';
import type { StoreLog } from '../store-log.ts';
import type { Retries } from './retries.ts';
import type { Table } from './table.ts';

/**
 * How many shards an inbox has: as many as any instance writes. The number is on record in the events table. An instance that
 * read fewer shards would miss events without any sign: `docs/decisions/017-shards-on-record.md`.
 */
export interface InboxShards {
  /** The number of shards to read now. It never goes down. */
  toRead(): number;
  /**
   * Records how many shards this instance writes, reads how many the others write, and follows that from then on. It must have
   * resolved before this instance writes. Rejects with an error of the SDK, or with an Error when the record is damaged.
   */
  join(): Promise<void>;
  /** Stops following. */
  stop(): Promise<void>;
}

export interface InboxShardsOptions {
  readonly events: Table;
  /** The number of shards that this instance writes. */
  readonly shards: number;
  /** The number of shards that are read whatever the record says. */
  readonly readShards: number;
  readonly log: StoreLog;
  readonly callBudgetMs: number;
  readonly retries: Retries;
  /** Milliseconds between two reads of the record. */
  readonly shardsEveryMs?: number;
}

/** How long an event in a new shard may be invisible to the instances that were running before. */
const EVERY_MS = 10_000;

/** Consecutive failures that are not reported, because other calls on the table report theirs anyway. */
const SILENT_FAILURES = 2;

export function createInboxShards(options: InboxShardsOptions): InboxShards {
  const { events, shards, log, callBudgetMs, shardsEveryMs = EVERY_MS } = options;
  let known = Math.max(shards, options.readShards);
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  let stopped = false;

  const sending = { retries: options.retries, turn: <T>(request: () => Promise<T>) => request() };
  const agree = () => withDeadline((deadline) => raiseTo(events, shards, deadline), callBudgetMs, sending);

  return {
    toRead: () => known,

    async join() {
      const recorded = await agree();
      if (recorded > shards) {
        log.warn({ written_here: shards, recorded }, 'other instances write more inbox shards; all are read');
      }
      known = Math.max(known, recorded);
      if (stopped) return;
      timer = setInterval(() => {
        looking ??= look().finally(() => (looking = undefined));
      }, shardsEveryMs).unref();
    },

    async stop() {
      stopped = true;
      clearInterval(timer);
      await looking;
    },
  };

  async function look(): Promise<void> {
    try {
      const recorded = await agree();
      failures = 0;
      if (recorded <= known) return;
      log.info({ from: known, to: recorded }, 'inbox shards to read have risen');
      known = recorded;
    } catch (error) {
      failures += 1;
      if (failures !== SILENT_FAILURES + 1 || stopped) return;
      log.warn(
        { err: error, read: known },
        'the number of inbox shards cannot be read; the last one known serves',
      );
    }
  }
}

/** Not a UUID, so that no client can ask for it. Without tenant, inbox keys and ttl nobody takes it for an event. */
const RECORD_ID = 'inbox-shards';

/** What `INBOX_SHARDS` takes: a record beyond it is damaged. */
const MOST_SHARDS = 100;

/** Raises the record to `shards` if it is lower or missing. @returns the number that it has then. */
async function raiseTo(events: Table, shards: number, deadline: Deadline): Promise<number> {
  for (;;) {
    const recorded = recordedIn(await getItem(events, RECORD_ID, deadline), events.name);
    if (recorded >= shards) return recorded;
    const update = {
      Key: { event_id: RECORD_ID },
      UpdateExpression: 'SET shards = :shards',
      ConditionExpression: 'attribute_not_exists(shards) OR shards < :shards',
      ExpressionAttributeValues: { ':shards': shards },
    };
    // If it was not written, another instance was faster, or an earlier try of this one was carried out.
    if ((await events.update(update, deadline)).written) return shards;
  }
}

function recordedIn(item: Readonly<Record<string, unknown>> | undefined, table: string): number {
  const shards = item?.['shards'] ?? 0;
  if (Number.isInteger(shards) && Number(shards) >= 0 && Number(shards) <= MOST_SHARDS) return Number(shards);
  throw new Error(
    `item ${RECORD_ID} of table ${table} says ${JSON.stringify(shards)} shards: correct it to the highest INBOX_SHARDS, at most ${String(MOST_SHARDS)}`,
  );
}
