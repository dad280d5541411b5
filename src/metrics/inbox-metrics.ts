import { within } from '../http/within.ts';
import type { InboxState } from '../store/store-gauges.ts';
import type { Family, Value } from './families.ts';

/** Labels must stay few: each metric names this many tenants, and the totals have the rest. */
export const TOP_TENANTS = 20;
/** How old the numbers may be. */
const MAX_AGE_MS = 30_000;
/** How long a scrape waits for new numbers. After that it gets the previous ones. */
const PATIENCE_MS = 1_000;

const COUNTED = 'all tenants; with DynamoDB, of those that this instance has served lately';

interface Options {
  readonly read: () => Promise<readonly InboxState[]>;
  /** The present, in microseconds as `oldest` of an inbox. */
  readonly now: () => number;
  /** Milliseconds of a clock that is never set. */
  readonly monotonicMs: () => number;
}

/** Depth and age of inboxes. They are read while somebody scrapes, every 30 s at most. */
export function inboxFamilies({ read, now, monotonicMs }: Options): readonly Family[] {
  const latest = refreshed(read, monotonicMs);
  const family = (
    name: string,
    help: string,
    values: (inboxes: readonly InboxState[]) => Value[],
  ): Family => ({
    name,
    help,
    type: 'gauge',
    // Before the first numbers there is no value, which is better than a 0.
    values: async () => {
      const inboxes = await latest();
      return inboxes === undefined ? [] : values(inboxes);
    },
  });
  const age = ({ oldest }: InboxState) => Math.max(0, (now() - oldest) / 1e6);
  const top = (of: (inbox: InboxState) => number) => (inboxes: readonly InboxState[]) =>
    inboxes
      .map((inbox): Value => ({ labels: { tenant: inbox.tenant }, value: of(inbox) }))
      .sort((a, b) => b.value - a.value)
      .slice(0, TOP_TENANTS);
  const pending = ({ pending }: InboxState) => pending;

  return [
    family('triggers_inbox_events', `Pending events of ${COUNTED}.`, (inboxes) => [
      { labels: {}, value: inboxes.reduce((sum, inbox) => sum + inbox.pending, 0) },
    ]),
    family(
      'triggers_inbox_oldest_event_age_seconds',
      `Age of the oldest pending event of ${COUNTED}.`,
      (inboxes) => [
        { labels: {}, value: inboxes.reduce((oldest, inbox) => Math.max(oldest, age(inbox)), 0) },
      ],
    ),
    family('triggers_inbox_tenants', 'Tenants that have pending events.', (inboxes) => [
      { labels: {}, value: inboxes.length },
    ]),
    family('triggers_inbox_tenant_events', 'Pending events of the tenants that have the most.', top(pending)),
    family(
      'triggers_inbox_tenant_oldest_event_age_seconds',
      'Age of the oldest pending event of the tenants that have the oldest.',
      top(age),
    ),
  ];
}

/** The returned function gives the last result of `read`, and has it read again when that is too old. Never rejects. */
function refreshed<T>(read: () => Promise<T>, monotonicMs: () => number): () => Promise<T | undefined> {
  let latest: T | undefined;
  let readAt = -Infinity;
  let reading: Promise<void> | undefined;

  async function refresh(): Promise<void> {
    try {
      latest = await read();
    } catch {
      // The store does not answer, or is closed. Old numbers would look as if all were well.
      latest = undefined;
    }
    readAt = monotonicMs();
    reading = undefined;
  }

  return async () => {
    if (monotonicMs() - readAt >= MAX_AGE_MS) reading ??= refresh();
    if (reading !== undefined) await within(reading, PATIENCE_MS, () => undefined);
    return latest;
  };
}
