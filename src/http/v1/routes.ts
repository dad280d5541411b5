import type { Clock } from '../../events/clock.ts';
import { formatMicros } from '../../events/clock.ts';
import type { Micros } from '../../store/event.ts';
import { idempotencyClaim } from '../../events/claims.ts';
import type { Waiting } from '../../events/waiting.ts';
import { ingest } from '../../events/ingest.ts';
import type { EventStore } from '../../store/event-store.ts';
import { eventNotFound, RequestError, unavailable } from '../request-error.ts';
import { EventParams } from '../fields.ts';
import { inboxPage } from './inbox.ts';
import type { Reply } from '../reply.ts';
import type { Route } from '../route.ts';
import { route } from '../route.ts';
import { acknowledgeEvents, createEvents, keyReused } from './batch.ts';
import * as examples from './examples.ts';
import { leaseEvents, settleLeases } from './leases.ts';
import { quarantinePage, redriveEvents } from './quarantine.ts';
import * as schemas from './schemas.ts';
import { eventMembers, idempotencyKey, readDraft } from './wire.ts';

export interface V1Services {
  readonly store: EventStore;
  readonly clock: Clock;
  /** Who waits for events. */
  readonly waiting: Waiting;
  readonly version: string;
  /** How long an idempotency key is remembered. */
  readonly idempotencyTtl: Micros;
  /** How long events live. */
  readonly eventTtl: Micros;
  /** Whether the process still wants new work. */
  readonly draining: () => boolean;
}

export const READY_PATH = '/v1/ready';

/** The whole `/v1` contract. */
export function v1Routes(services: V1Services): Route[] {
  return [
    ...[health, ready, createEvent, createEvents, readEvent],
    ...[inboxPage, acknowledge, acknowledgeEvents, deleteEvent],
    ...[leaseEvents, settleLeases, quarantinePage, redriveEvents],
  ].map((define) => define(services));
}

const health = ({ clock, version }: V1Services): Route =>
  route({
    method: 'GET',
    path: '/v1/health',
    operationId: 'getHealth',
    summary: 'The process is alive',
    description: 'Answered from memory, whatever the store does.',
    auth: false,
    responses: { 200: schemas.Health },
    example: examples.health,
    handle: () => json(200, { status: 'healthy', timestamp: formatMicros(clock.now()), version }),
  });

const ready = ({ store, clock, draining }: V1Services): Route =>
  route({
    method: 'GET',
    path: READY_PATH,
    operationId: 'getReady',
    summary: 'The process takes requests: for load balancers',
    description: '503 while the store does not answer, and while the process shuts down.',
    auth: false,
    responses: { 200: schemas.Ready },
    errors: ['SERVICE_UNAVAILABLE'],
    example: examples.ready,
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
    operationId: 'createEvent',
    summary: 'Send an event; a 201 means that it is durable',
    description:
      'Without an idempotency key, two requests are two events, however alike. With one, the same key and the same ' +
      'content get the first reply again; the same key with other content is 422. The payload may have 409,600 bytes ' +
      'of JSON text.',
    auth: true,
    body: schemas.CreateEventBody,
    responses: { 201: schemas.Created },
    headers: schemas.CreateEventHeaders,
    replyHeaders: schemas.CreatedHeaders,
    errors: ['IDEMPOTENCY_KEY_REUSED'],
    example: examples.createEvent,
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
    operationId: 'getEvent',
    summary: 'Read one event, pending, in quarantine or acknowledged',
    description: 'Also right after the 201, on every instance. The payload is the very text that was sent.',
    auth: true,
    params: EventParams,
    responses: { 200: schemas.EventWithRequestId },
    errors: ['NOT_FOUND'],
    example: examples.readEvent,
    handle: async ({ principal, params, requestId }) => {
      const event = await store.get(principal.tenant, params.event_id);
      if (!event) throw eventNotFound();
      return { status: 200, body: `{${eventMembers(event)},"request_id":"${requestId}"}` };
    },
  });

const acknowledge = ({ store, clock }: V1Services): Route =>
  route({
    method: 'POST',
    path: '/v1/events/{event_id}/ack',
    operationId: 'acknowledgeEvent',
    summary: 'Acknowledge an event: it leaves the inbox',
    description: 'A second time it is 409, with the time of the first.',
    auth: true,
    params: EventParams,
    responses: { 200: schemas.Acknowledged },
    errors: ['NOT_FOUND', 'CONFLICT'],
    example: examples.acknowledge,
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
    operationId: 'deleteEvent',
    summary: 'Delete an event, pending, in quarantine or acknowledged',
    description: 'Also 200 when there is no such event.',
    auth: true,
    params: EventParams,
    responses: { 200: schemas.Deleted },
    example: examples.deleteEvent,
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
