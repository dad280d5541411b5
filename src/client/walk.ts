import type { Call } from './call.ts';
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

export interface Page<Event> {
  readonly events: readonly Event[];
  /** Null: this was the last page. */
  readonly nextCursor: string | null;
}

/** A walk through events. It reads a page when the page before is used up; take either its events or its pages. */
export interface Walk<Event> extends AsyncGenerator<Event, void, undefined> {
  pages(): AsyncGenerator<Page<Event>, void, undefined>;
}

/**
 * @param path of a route that answers with pages.
 * @param eventFrom reads an event of a page, as the service writes it.
 */
export function walk<Event>(
  call: Call,
  path: string,
  options: ListOptions,
  eventFrom: (wire: unknown) => Event,
): Walk<Event> {
  const readPage = async (cursor: string | undefined): Promise<Page<Event>> => {
    const { limit, source, eventType, signal } = options;
    const { body } = await call({
      method: 'GET',
      path: path + queryText({ limit, cursor, source, event_type: eventType }),
      signal,
      success: { statuses: [200], member: 'pagination' },
    });
    const { events, pagination } = body as WirePage<unknown>;
    return { events: events.map(eventFrom), nextCursor: pagination.next_cursor };
  };

  async function* pages(): AsyncGenerator<Page<Event>, void, undefined> {
    let cursor: string | null | undefined = options.cursor;
    do {
      const page = await readPage(cursor);
      yield page;
      cursor = page.nextCursor;
    } while (cursor !== null);
  }
  return Object.assign(eventsOf(pages()), { pages });
}

async function* eventsOf<Event>(pages: AsyncIterable<Page<Event>>): AsyncGenerator<Event, void, undefined> {
  for await (const { events } of pages) yield* events;
}

function queryText(query: WireQuery): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query) as [string, string | number | undefined][]) {
    if (value !== undefined) search.set(name, String(value));
  }
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}
