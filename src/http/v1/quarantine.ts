import type { Static } from 'typebox';
import { readQuarantine } from '../../events/inbox.ts';
import type { StoredEvent } from '../../store/event.ts';
import type { Redriven } from '../../store/lease-store.ts';
import type { Failed } from '../../store/event-store.ts';
import { inboxQuery } from '../inbox-query.ts';
import { invalidCursor, invalidField, RequestError } from '../request-error.ts';
import { route, type Route } from '../route.ts';
import * as examples from './examples.ts';
import { distinctIds, failedItem, failureText, manyReply, replyForEach, type ItemResult } from './many.ts';
import type { V1Services } from './routes.ts';
import * as schemas from './schemas.ts';
import { eventMembers, timeOrNull } from './wire.ts';

export function quarantinePage({ store }: V1Services): Route {
  return route({
    method: 'GET',
    path: '/v1/quarantine',
    operationId: 'getQuarantine',
    summary: 'Read the events in quarantine',
    description:
      'Events that were rejected, or leased as often as they may be without being acknowledged. No consumer gets them, and ' +
      'they are kept for as long again as a new event. They can be acknowledged, deleted, and put back. Pages are as those ' +
      'of the inbox; their cursors are not the same.',
    auth: true,
    paged: true,
    query: schemas.InboxParameters,
    responses: { 200: schemas.QuarantinePage },
    example: examples.quarantinePage,
    handle: async ({ principal, query, requestId }) => {
      const wanted = inboxQuery(query);
      const page = await readQuarantine(store, 'v1', principal.tenant, wanted);
      if (page === 'invalid-cursor') throw invalidCursor();
      const pagination = JSON.stringify({ next_cursor: page.nextCursor, limit: wanted.limit });
      return {
        status: 200,
        body:
          `{"events":[${page.events.map(quarantinedEvent).join(',')}],"pagination":${pagination},` +
          `"request_id":"${requestId}"}`,
      };
    },
  });
}

function quarantinedEvent(event: StoredEvent): string {
  const { attempts = 0, lastReason = null, since } = event.quarantine ?? {};
  return (
    `{${eventMembers(event)},"attempts":${String(attempts)},"last_reason":${JSON.stringify(lastReason)},` +
    `"quarantined_at":${timeOrNull(since)}}`
  );
}

export function redriveEvents({ store }: V1Services): Route {
  return route({
    method: 'POST',
    path: '/v1/quarantine/redrive',
    operationId: 'redriveEvents',
    summary: 'Put up to 500 events back from quarantine into the inbox',
    description:
      'Those that are named, or those that a filter finds, up to `limit` of them. They keep their id and `created_at`, have no ' +
      'attempts, and live as long as new ones. Look at the outcome of each when the status is 207. The call counts as many ' +
      'requests as it puts back events. A call by filter that is repeated puts back others.',
    auth: true,
    controlled: true,
    body: schemas.RedriveBody,
    responses: { 200: schemas.RedrivenMany, 207: schemas.RedrivenMany },
    example: examples.redriveEvents,
    handle: async (request) => {
      const { tenant } = request.principal;
      const ids = await wantedIds(store, tenant, request.body);
      if (ids.length === 0) return manyReply([], request.requestId);
      return replyForEach(request, ids, () => store.redrive(tenant, ids), redrivenItem);
    },
  });
}

/** Those that the call names, or up to `limit` that are in quarantine and match. @throws a `RequestError` for both and for neither. */
async function wantedIds(
  store: V1Services['store'],
  tenant: string,
  { event_ids: named, limit, source, event_type: type }: Static<typeof schemas.RedriveBody>,
): Promise<readonly string[]> {
  const hasFilter = limit !== undefined || source !== undefined || type !== undefined;
  if (named !== undefined && hasFilter) throw invalidField('body', 'must have either event_ids or a filter');
  if (named !== undefined) return distinctIds(named);
  if (limit === undefined) throw invalidField('limit', 'is required where there are no event_ids');
  const ids: string[] = [];
  let after: string | null = null;
  do {
    const page = {
      ...{ limit: Math.min(PAGE, limit - ids.length), after },
      ...(source === undefined ? {} : { source }),
      ...(type === undefined ? {} : { type }),
    };
    const { events, next }: Awaited<ReturnType<typeof store.listQuarantined>> = await store.listQuarantined(
      tenant,
      page,
    );
    ids.push(...events.map(({ id }) => id));
    after = next;
  } while (after !== null && ids.length < limit);
  return ids;
}

const PAGE = 100;

function redrivenItem(id: string, result: Redriven | Failed): ItemResult {
  const members = `,"event_id":"${id}"`;
  switch (result.outcome) {
    case 'redriven':
      return { outcome: 'redriven', members };
    case 'missing':
      return { outcome: 'not_found', members, failure: failureText(NOT_IN_QUARANTINE, false) };
    case 'failed':
      return { ...failedItem(result), members };
  }
}

const NOT_IN_QUARANTINE = new RequestError('NOT_FOUND', 'there is no such event in quarantine');
