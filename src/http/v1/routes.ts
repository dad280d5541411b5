import type { Clock } from '../../events/clock.ts';
import { formatMicros } from '../../events/clock.ts';
import type { Micros } from '../../store/event.ts';
import { readInbox } from '../../events/inbox.ts';
import { idempotencyClaim } from '../../events/claims.ts';
import { ingest } from '../../events/ingest.ts';
import type { EventStore } from '../../store/event-store.ts';
import { eventNotFound, invalidCursor, RequestError, unavailable } from '../request-error.ts';
import { EventParams } from '../fields.ts';
import { inboxQuery } from '../inbox-query.ts';
import type { Reply } from '../reply.ts';
import type { Route } from '../route.ts';
import { route } from '../route.ts';
import * as schemas from './schemas.ts';
import { eventMembers, idempotencyKey, readDraft } from './wire.ts';

export interface V1Services {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly version: string;
  /** How long an idempotency key is remembered. */
  readonly idempotencyTtl: Micros;
  /** Whether the process still wants new work. */
  readonly draining: () => boolean;
}

/** The whole `/v1` contract. */
export function v1Routes(services: V1Services): Route[] {
  return [health, ready, createEvent, readEvent, inboxPage, acknowledge, deleteEvent].map((define) =>
    define(services),
  );
}

const health = ({ clock, version }: V1Services): Route =>
  route({
    method: 'GET',
    path: '/v1/health',
    summary: 'The process is alive',
    auth: false,
    responses: { 200: schemas.Health },
    handle: () => json(200, { status: 'healthy', timestamp: formatMicros(clock.now()), version }),
  });

const ready = ({ store, clock, draining }: V1Services): Route =>
  route({
    method: 'GET',
    path: '/v1/ready',
    summary: 'The process takes requests: for load balancers',
    auth: false,
    responses: { 200: schemas.Ready },
    handle: async () => {
      if (draining()) throw unavailable('this instance is shutting down; use another one');
      await store.ping();
      return json(200, { status: 'ready', timestamp: formatMicros(clock.now()) });
    },
  });

const createEvent = ({ store, clock, idempotencyTtl }: V1Services): Route =>
  route({
    method: 'POST',
    path: '/v1/events',
    summary: 'Send an event; a 201 means that it is durable',
    auth: true,
    body: schemas.CreateEventBody,
    responses: { 201: schemas.Created },
    handle: async ({ principal: { tenant }, head, body, bodyText, requestId }) => {
      const draft = readDraft(bodyText, body);
      const key = idempotencyKey(head, body);
      const claim =
        key === undefined
          ? undefined
          : (createdAt: Micros) => idempotencyClaim(tenant, key, draft, createdAt + idempotencyTtl);
      const ingested = await ingest(store, clock, tenant, draft, claim);
      if (ingested.outcome === 'conflict') throw keyReused();
      const location = ['location', `/v1/events/${ingested.id}`] as const;
      return {
        status: 201,
        headers: ingested.outcome === 'stored' ? [location] : [location, ['idempotent-replayed', 'true']],
        body:
          `{"event_id":"${ingested.id}","created_at":"${formatMicros(ingested.createdAt)}","status":"pending",` +
          `"message":"event stored","request_id":"${requestId}"}`,
      };
    },
  });

const readEvent = ({ store }: V1Services): Route =>
  route({
    method: 'GET',
    path: '/v1/events/{event_id}',
    summary: 'Read one event, pending or acknowledged',
    auth: true,
    params: EventParams,
    responses: { 200: schemas.EventWithRequestId },
    handle: async ({ principal, params, requestId }) => {
      const event = await store.get(principal.tenant, params.event_id);
      if (!event) throw eventNotFound();
      return { status: 200, body: `{${eventMembers(event)},"request_id":"${requestId}"}` };
    },
  });

const inboxPage = ({ store }: V1Services): Route =>
  route({
    method: 'GET',
    path: '/v1/inbox',
    summary: 'Read pending events, oldest first',
    auth: true,
    paged: true,
    query: schemas.InboxParameters,
    responses: { 200: schemas.InboxPage },
    handle: async ({ principal, query, requestId }) => {
      const wanted = inboxQuery(query);
      const page = await readInbox(store, 'v1', principal.tenant, wanted);
      if (page === 'invalid-cursor') throw invalidCursor();
      const events = page.events.map((event) => `{${eventMembers(event)}}`).join(',');
      const pagination = JSON.stringify({ next_cursor: page.nextCursor, limit: wanted.limit });
      return {
        status: 200,
        body: `{"events":[${events}],"pagination":${pagination},"request_id":"${requestId}"}`,
      };
    },
  });

const acknowledge = ({ store, clock }: V1Services): Route =>
  route({
    method: 'POST',
    path: '/v1/events/{event_id}/ack',
    summary: 'Acknowledge an event: it leaves the inbox',
    auth: true,
    params: EventParams,
    responses: { 200: schemas.Acknowledged },
    handle: async ({ principal, params, requestId }) => {
      const id = params.event_id;
      const acknowledgement = await store.acknowledge(principal.tenant, id, clock.tick());
      if (acknowledgement.outcome === 'missing') throw eventNotFound();
      const at = formatMicros(acknowledgement.acknowledgedAt);
      if (acknowledgement.outcome === 'already') {
        throw new RequestError('CONFLICT', `this event has been acknowledged already, at ${at}`);
      }
      return json(200, {
        event_id: id,
        status: 'acknowledged',
        acknowledged_at: at,
        message: 'event acknowledged',
        request_id: requestId,
      });
    },
  });

const deleteEvent = ({ store }: V1Services): Route =>
  route({
    method: 'DELETE',
    path: '/v1/events/{event_id}',
    summary: 'Delete an event, pending or acknowledged',
    auth: true,
    params: EventParams,
    responses: { 200: schemas.Deleted },
    handle: async ({ principal, params, requestId }) => {
      const id = params.event_id;
      const existed = await store.remove(principal.tenant, id);
      const message = existed ? 'event deleted' : 'there was no such event';
      return json(200, { event_id: id, message, request_id: requestId });
    },
  });

function json(status: number, body: object): Reply {
  return { status, body: JSON.stringify(body) };
}

function keyReused(): RequestError {
  return new RequestError(
    'IDEMPOTENCY_KEY_REUSED',
    'this idempotency key has come with another event before; use a new key for a new event',
  );
}
