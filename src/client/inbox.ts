import type { Call } from './call.ts';
import { eventFrom, type TriggersEvent } from './event.ts';
import type { CallOptions } from './options.ts';
import type { WirePage, WireQuery } from './wire.ts';

export interface ListOptions extends CallOptions {
  /** Events a page, 1-100; 50 by default. It bounds requests, not the walk. */
  readonly limit?: number | undefined;
  /** Only events with exactly this source. */
  readonly source?: string | undefined;
  /** Only events of exactly this type. */
  readonly eventType?: string | undefined;
  /** Where to go on: `nextCursor` of a page. */
  readonly cursor?: string | undefined;
}

export interface InboxPage<Payload = Record<string, unknown>> {
  readonly events: readonly TriggersEvent<Payload>[];
  /** Null: this was the last page. */
  readonly nextCursor: string | null;
}

/** A walk through the inbox. It reads a page when the page before is used up; take either its events or its pages. */
export interface InboxWalk<Payload = Record<string, unknown>> extends AsyncGenerator<
  TriggersEvent<Payload>,
  void,
  undefined
> {
  pages(): AsyncGenerator<InboxPage<Payload>, void, undefined>;
}

export interface Inbox {
  /**
   * The pending events, oldest first, each once: those that were there at the start of the walk. Acknowledging while you
   * walk does not disturb it. Nothing is reserved: a second consumer sees the same events.
   */
  list<Payload = Record<string, unknown>>(options?: ListOptions): InboxWalk<Payload>;
}

export function createInbox(call: Call): Inbox {
  return {
    list<Payload>(options: ListOptions = {}) {
      const pages = (): AsyncGenerator<InboxPage<Payload>, void, undefined> => readPages(call, options);
      return Object.assign(eventsOf(pages()), { pages });
    },
  };
}

async function* eventsOf<Payload>(
  pages: AsyncIterable<InboxPage<Payload>>,
): AsyncGenerator<TriggersEvent<Payload>, void, undefined> {
  for await (const { events } of pages) yield* events;
}

async function* readPages<Payload>(
  call: Call,
  options: ListOptions,
): AsyncGenerator<InboxPage<Payload>, void, undefined> {
  let cursor: string | null | undefined = options.cursor;
  do {
    const page: InboxPage<Payload> = await readPage<Payload>(call, options, cursor);
    yield page;
    cursor = page.nextCursor;
  } while (cursor !== null);
}

async function readPage<Payload>(
  call: Call,
  { limit, source, eventType, signal }: ListOptions,
  cursor: string | undefined,
): Promise<InboxPage<Payload>> {
  const { body } = await call({
    method: 'GET',
    path: `/v1/inbox${queryText({ limit, cursor, source, event_type: eventType })}`,
    signal,
    success: { statuses: [200], member: 'pagination' },
  });
  const { events, pagination } = body as WirePage;
  return {
    events: events.map((event) => eventFrom<Payload>(event)),
    nextCursor: pagination.next_cursor,
  };
}

function queryText(query: WireQuery): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query) as [string, string | number | undefined][]) {
    if (value !== undefined) search.set(name, String(value));
  }
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}
