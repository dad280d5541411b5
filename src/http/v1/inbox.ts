import { readInbox, type InboxPage, type InboxQuery } from '../../events/inbox.ts';
import { EMPTY_PAGE_TAG } from '../../store/page-tag.ts';
import { matchesEtag } from '../content.ts';
import { inboxQuery } from '../inbox-query.ts';
import { invalidCursor } from '../request-error.ts';
import type { Reply } from '../reply.ts';
import { route, type Route } from '../route.ts';
import * as examples from './examples.ts';
import type { V1Services } from './routes.ts';
import * as schemas from './schemas.ts';
import { maybeWaiting, wantedBy } from './wait.ts';
import { eventMembers, timeOrNull } from './wire.ts';

export function inboxPage({ store, waiting }: V1Services): Route {
  return route({
    method: 'GET',
    path: '/v1/inbox',
    operationId: 'getInbox',
    summary: 'Read pending events, oldest first',
    description:
      'A page has up to `limit` events; it ends early once it holds 4 MiB of payload. Acknowledge what you have handled: ' +
      'until then the inbox shows it again. Events that are leased are shown too, with the end of the lease. With `wait_seconds` ' +
      'the answer comes as soon as there is something, or empty when the time is up; then the 200 may begin before its body, with ' +
      'blanks. A first page has an `ETag`: with `If-None-Match` it is 304 as long as it shows the same.',
    auth: true,
    controlled: true,
    paged: true,
    query: schemas.WaitingInboxParameters,
    headers: schemas.InboxHeaders,
    replyHeaders: schemas.InboxReplyHeaders,
    responses: { 200: schemas.InboxPage, 304: null },
    example: examples.inboxPage,
    handle: (request) => {
      const { principal, control, query, head, requestId } = request;
      const { wait_seconds = 0, ...parameters } = query;
      const { tenant } = principal;
      const wanted = inboxQuery(parameters);
      const { cursor, ...first } = wanted;
      // A walk ends with what was there when it began.
      const seconds = cursor === undefined ? wait_seconds : 0;
      const read = () => readInbox(store, 'v1', tenant, wanted);
      const look = async () => {
        const page = await read();
        return page !== 'invalid-cursor' && isSomething(page) ? page : undefined;
      };
      return maybeWaiting(waiting, { principal, control }, seconds, async (wait): Promise<Reply> => {
        if (cursor === undefined && head.ifNoneMatch !== undefined) {
          const tag = await store.pendingTag(tenant, first);
          const isForWaiting = seconds > 0 && tag === EMPTY_PAGE_TAG;
          if (!isForWaiting && matchesEtag(head.ifNoneMatch, etagOf(tag))) {
            return { status: 304, body: null, headers: tagHeaders(tag) };
          }
        }
        let page = await read();
        if (page === 'invalid-cursor') throw invalidCursor();
        if (!isSomething(page)) {
          const nothing = pageText(page, wanted, requestId);
          page = (await wait(wantedBy('inbox', first), () => nothing, look)) ?? page;
        }
        const headers = page.tag === undefined ? [] : tagHeaders(page.tag);
        return { status: 200, headers, body: pageText(page, wanted, requestId) };
      });
    },
  });
}

/** A page may be empty where a filter has left out much, and go on. */
function isSomething({ events, nextCursor }: InboxPage): boolean {
  return events.length > 0 || nextCursor !== null;
}

function pageText(page: InboxPage, { limit }: InboxQuery, requestId: string): string {
  const events = page.events.map((event) => {
    const leasedUntil = timeOrNull(page.leasedUntil?.get(event.id));
    return `{${eventMembers(event)},"leased_until":${leasedUntil}}`;
  });
  const pagination = JSON.stringify({ next_cursor: page.nextCursor, limit });
  return `{"events":[${events.join(',')}],"pagination":${pagination},"request_id":"${requestId}"}`;
}

/** Weak: two pages with one tag have cursors and ids of requests that differ. */
function etagOf(tag: string): string {
  return `W/"${tag}"`;
}

function tagHeaders(tag: string) {
  return [
    ['etag', etagOf(tag)],
    ['cache-control', 'private, no-cache'],
  ] as const;
}
