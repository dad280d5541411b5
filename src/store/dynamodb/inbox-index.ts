import type { TableDescription } from '@aws-sdk/client-dynamodb';
import type { StoreLog } from '../store-log.ts';
import { StoreUnavailableError } from '../store-errors.ts';
import { INBOX_INDEX, LEASE_INDEX, usableIndex } from './table-definitions.ts';

/**
 * Which index of the events table is read. Tables of versions without leases have one that does not show leases; `triggers-api
 * tables upgrade` makes another one beside it, and instances that are running read that one as soon as it is complete.
 */
export interface InboxIndex {
  /** The name of the index to read now. */
  readonly name: () => string;
  /** Why nothing can be leased; undefined: events can be leased. */
  readonly problem: () => StoreUnavailableError | undefined;
  /** Looks once, and from then on until leases are possible. */
  follow(): Promise<void>;
  stop(): void;
}

/** How often a table without the index is looked at. */
const EVERY_MS = 10_000;

/** @param describe describes the events table. */
export function createInboxIndex(
  describe: () => Promise<TableDescription | undefined>,
  log: StoreLog,
  everyMs = EVERY_MS,
): InboxIndex {
  let name = LEASE_INDEX;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const look = async () => {
    const table = await describe();
    const found = table && usableIndex(table);
    if (found === undefined) return;
    if (name === INBOX_INDEX && found === LEASE_INDEX) log.info({ index: found }, 'events can be leased now');
    name = found;
    if (name === LEASE_INDEX) clearInterval(timer);
  };

  return {
    name: () => name,
    problem: () =>
      name === LEASE_INDEX
        ? undefined
        : new StoreUnavailableError(
            `events cannot be leased before their table has the index ${LEASE_INDEX}: make it with \`triggers-api tables upgrade\``,
          ),
    async follow() {
      await look();
      if (name === LEASE_INDEX || stopped) return;
      log.warn({ index: name }, 'no leases: the events table has no complete index for them');
      // The old index serves meanwhile. What goes wrong now is seen by other calls.
      timer = setInterval(() => void look().catch(() => undefined), everyMs).unref();
    },
    stop() {
      stopped = true;
      clearInterval(timer);
    },
  };
}
