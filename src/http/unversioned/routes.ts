import { contentClaim } from '../../events/claims.ts';
import type { Clock } from '../../events/clock.ts';
import { formatMicros } from '../../events/clock.ts';
import type { Micros } from '../../store/event.ts';
import { readInbox } from '../../events/inbox.ts';
import { ingest } from '../../events/ingest.ts';
import type { EventStore } from '../../store/event-store.ts';
import { eventNotFound, invalidCursor } from '../request-error.ts';
import { EventParams } from '../fields.ts';
import { inboxQuery } from '../inbox-query.ts';
import type { Route } from '../route.ts';
import { route } from '../route.ts';
import * as examples from './examples.ts';
import * as schemas from './schemas.ts';
import { eventJson, readDraft } from './wire.ts';

export interface UnversionedServices {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly version: string;
  /** How long equal events are one; 0: they never are. */
  readonly dedupWindow: Micros;
}

/** The whole unversioned contract. */
export function unversionedRoutes(services: UnversionedServices): Route[] {
  return [status, createEvent, readEvent, inboxPage, deliver].map((define) => define(services));
}

const status = ({ version }: UnversionedServices): Route =>
  route({
    method: 'GET',
    path: '/status',
    operationId: 'getStatus',
    summary: 'The process is alive',
    description: 'Answered from memory, whatever the store does.',
    auth: false,
    responses: { 200: schemas.Status },
    example: examples.status,
    handle: () => ({
      status: 200,
      body: JSON.stringify({
        status: 'ok',
        version,
        uptime_seconds: Math.round(process.uptime() * 1000) / 1000,
      }),
    }),
  });

const createEvent = ({ store, clock, dedupWindow }: UnversionedServices): Route =>
  route({
    method: 'POST',
    path: '/events',
    operationId: 'createUnversionedEvent',
    summary: 'Send an event; equal ones within the window are one. A 200 means that it is durable',
    description:
      'Equal are events with the same type, source and payload; the order of keys does not matter. The payload may have ' +
      '262,144 bytes of JSON text.',
    auth: true,
    body: schemas.CreateEventBody,
    responses: { 200: schemas.Created },
    example: examples.createEvent,
    handle: async ({ principal: { tenant }, body, bodyText }) => {
      const draft = readDraft(bodyText, body);
      const claim =
        dedupWindow === 0
          ? undefined
          : (createdAt: Micros) => contentClaim(tenant, draft, createdAt + dedupWindow);
      const ingested = await ingest(store, clock, tenant, draft, claim);
      if (ingested.outcome === 'conflict') {
        throw new Error('two events with one content claim have the same content: the claim is made of it');
      }
      return {
        status: 200,
        body:
          `{"event_id":"${ingested.id}","timestamp":"${formatMicros(ingested.createdAt)}","delivered":false,` +
          `"deduplicated":${String(ingested.outcome === 'duplicate')}}`,
      };
    },
  });

const readEvent = ({ store }: UnversionedServices): Route =>
  route({
    method: 'GET',
    path: '/events/{event_id}',
    operationId: 'getUnversionedEvent',
    summary: 'Read one event, delivered or not',
    description:
      'Delivered events can be read until they expire. The payload is the very text that was sent.',
    auth: true,
    params: EventParams,
    responses: { 200: schemas.Event },
    errors: ['NOT_FOUND'],
    example: examples.readEvent,
    handle: async ({ principal, params }) => {
      const event = await store.get(principal.tenant, params.event_id);
      if (!event) throw eventNotFound();
      return { status: 200, body: eventJson(event) };
    },
  });

const inboxPage = ({ store }: UnversionedServices): Route =>
  route({
    method: 'GET',
    path: '/inbox',
    operationId: 'getUnversionedInbox',
    summary: 'Read undelivered events, oldest first',
    description: 'A page has up to `limit` events; it ends early once it holds 4 MiB of payload.',
    auth: true,
    paged: true,
    query: schemas.InboxParameters,
    responses: { 200: schemas.InboxPage },
    example: examples.inboxPage,
    handle: async ({ principal: { tenant }, query }) => {
      const wanted = inboxQuery(query);
      const page = await readInbox(store, 'unversioned', tenant, wanted);
      if (page === 'invalid-cursor') throw invalidCursor();
      // A first page that is the whole inbox is its own count.
      const whole = wanted.cursor === undefined && wanted.type === undefined && page.nextCursor === null;
      const total = whole ? { count: page.events.length, exact: true } : await store.countPending(tenant);
      const pagination = JSON.stringify({
        next_cursor: page.nextCursor,
        has_more: page.nextCursor !== null,
        // Counted apart from the page, it may be older.
        total_undelivered: Math.max(total.count, page.events.length),
        ...(total.exact ? {} : { total_is_lower_bound: true }),
      });
      return {
        status: 200,
        body: `{"events":[${page.events.map(eventJson).join(',')}],"pagination":${pagination}}`,
      };
    },
  });

const deliver = ({ store, clock }: UnversionedServices): Route =>
  route({
    method: 'DELETE',
    path: '/events/{event_id}',
    operationId: 'deliverUnversionedEvent',
    summary: 'Mark an event as delivered: it leaves the inbox and is kept until it expires',
    description: 'Again 204 when it has been delivered already.',
    auth: true,
    params: EventParams,
    responses: { 204: null },
    errors: ['NOT_FOUND'],
    handle: async ({ principal, params }) => {
      const { outcome } = await store.acknowledge(principal.tenant, params.event_id, clock.tick());
      if (outcome === 'missing') throw eventNotFound();
      return { status: 204, body: null };
    },
  });
