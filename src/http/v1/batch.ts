import { batchClaim, idempotencyClaim } from '../../events/claims.ts';
import { formatMicros } from '../../events/clock.ts';
import { ingestMany, type EventDraft, type Ingested, type MakeClaim } from '../../events/ingest.ts';
import { cutList, type Cut, type CutValue } from '../../events/json-list.ts';
import { MANY, type Acknowledgement, type Failed } from '../../store/event-store.ts';
import type { Micros } from '../../store/event.ts';
import { BATCH_BODY_LIMIT, BODY_LIMIT, invalidJson } from '../body.ts';
import { createLoopTurns } from '../loop-turns.ts';
import {
  bodyTooLarge,
  eventNotFound,
  invalidField,
  LEASED,
  RequestError,
  validationError,
} from '../request-error.ts';
import { route, type Route } from '../route.ts';
import { inSlices } from '../slices.ts';
import { compileCheck } from '../validate.ts';
import * as examples from './examples.ts';
import {
  at,
  carryOut,
  distinctIds,
  failedItem,
  failureText,
  manyReply,
  replyForEach,
  type ItemResult,
} from './many.ts';
import type { V1Services } from './routes.ts';
import * as schemas from './schemas.ts';
import { headerKey, readDraft } from './wire.ts';

/** How long reading batches may hold up a turn of the event loop. */
const MS_PER_TURN = 5;

/** An event of a batch that can be stored, or the result that says what is wrong with it. */
type Item = { readonly draft: EventDraft; readonly claim: MakeClaim | undefined } | ItemResult;

export function createEvents({ store, clock, idempotencyTtl }: V1Services): Route {
  const turns = createLoopTurns(MS_PER_TURN);
  return route({
    method: 'POST',
    path: '/v1/events/batch',
    operationId: 'createEvents',
    summary: 'Send up to 500 events in one call',
    description:
      'They come into the inbox in the order of the list. Each is taken or refused by itself, as a body of ' +
      '`POST /v1/events` would be: look at the outcome of each when the status is 207. A `created` event is durable. With ' +
      'an `Idempotency-Key` the whole call can be repeated; a key in the metadata of an event comes first. The body may ' +
      'have 4 MiB. The call counts as many requests as it has events.',
    auth: true,
    controlled: true,
    unparsed: true,
    bodyLimit: BATCH_BODY_LIMIT,
    body: schemas.CreateEventsBody,
    headers: schemas.CreateEventHeaders,
    responses: { 200: schemas.CreatedMany, 207: schemas.CreatedMany },
    example: examples.createEvents,
    handle: async ({ principal: { tenant }, head, bodyText, requestId, control }) => {
      const reading = readBatch(bodyText, createReader(tenant, headerKey(head), idempotencyTtl));
      await inSlices(turns, tenant, () => reading.step());
      const items = reading.finish();
      const good = items.flatMap((item) => ('draft' in item ? [item] : []));
      const ingested = await carryOut(control, items.length, () => ingestMany(store, clock, tenant, good));
      let next = 0;
      const results = items.map((item) => ('draft' in item ? createdItem(at(ingested, next++)) : item));
      return manyReply(results, requestId);
    },
  });
}

/**
 * Reads a body in short steps. Its members are checked as the schema says, because nobody parses it as a whole.
 *
 * @param read makes an item of its text.
 */
function readBatch(text: string, read: (cut: CutValue, index: number) => Item) {
  const cuts = cutList(text, 'events');
  const wrong = new Map<string, string>();
  let items: Item[] = [];

  function take(cut: Cut): void {
    switch (cut.kind) {
      case 'list':
        items = [];
        wrong.delete('events');
        return;
      case 'item':
        if (items.length === MANY) throw invalidField('events', `must have at most ${String(MANY)} items`);
        items.push(read(cut, items.length));
        return;
      case 'member':
        if (cut.name === 'events') wrong.set('events', 'must be an array');
        else if (wrong.size < MOST_WRONG) wrong.set(cut.name || 'body', 'is not a known field');
        if (isLarge(cut.text)) refuse();
        parse(cut);
        return;
      case 'pause':
    }
  }

  function refuse(): void {
    throw validationError([...wrong].map(([field, message]) => ({ field, message })));
  }

  return {
    /** @returns whether there is more to do. @throws a `RequestError` for what is no JSON, and for too many items. */
    step(): boolean {
      const cut = takeNext(cuts);
      if (cut !== undefined) take(cut);
      return cut !== undefined;
    },
    /** To be called after the last step. @throws a `RequestError` for a body with other members than it should have. */
    finish(): readonly Item[] {
      if (items.length === 0 && !wrong.has('events')) {
        wrong.set('events', 'must be an array of at least one event');
      }
      if (wrong.size > 0) refuse();
      return items;
    },
  };
}

/** @throws a `RequestError` if the text is no JSON object. */
function takeNext(cuts: Generator<Cut, void>): Cut | undefined {
  try {
    const { done, value } = cuts.next();
    return done === true ? undefined : value;
  } catch (error) {
    throw invalidJson(error);
  }
}

/** What is larger than a body of one event may be is refused unseen: with 4 MiB, parsing it would hold up everybody for 0.3 s. */
function isLarge(text: string): boolean {
  // A character has at most 3 bytes for each of its code units.
  return text.length > BODY_LIMIT / 3 && Buffer.byteLength(text) > BODY_LIMIT;
}

function parse({ text, at }: CutValue): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalidJson(error, at);
  }
}

const MOST_WRONG = 200;

const checkEvent = compileCheck(schemas.CreateEventBody, 'event');

/** The returned function reads one event. What is wrong with it alone is returned; it throws for what is no JSON. */
function createReader(tenant: string, key: string | undefined, ttl: Micros) {
  return (cut: CutValue, index: number): Item => {
    if (isLarge(cut.text)) return rejectedItem(bodyTooLarge(BODY_LIMIT));
    const value = parse(cut);
    try {
      const body = checkEvent(value);
      const draft = readDraft(cut.text, body);
      return { draft, claim: claimFor(tenant, key, index, draft, body.metadata?.idempotency_key, ttl) };
    } catch (error) {
      if (error instanceof RequestError) return rejectedItem(error);
      throw error;
    }
  };
}

/** Hashes at once, so that it takes its part of the slice; only the time comes later. */
function claimFor(
  tenant: string,
  key: string | undefined,
  index: number,
  draft: EventDraft,
  own: string | undefined,
  ttl: Micros,
): MakeClaim | undefined {
  if (own === undefined && key === undefined) return undefined;
  const claim =
    own === undefined
      ? batchClaim(tenant, key ?? '', index, draft, 0)
      : idempotencyClaim(tenant, own, draft, 0);
  return (createdAt) => ({ ...claim, expiresAt: createdAt + ttl });
}

function createdItem(ingested: Ingested | Failed): ItemResult {
  switch (ingested.outcome) {
    case 'stored':
    case 'duplicate': {
      const { id, createdAt } = ingested;
      return {
        outcome: ingested.outcome === 'stored' ? 'created' : 'duplicate',
        members: `,"event_id":"${id}","created_at":"${formatMicros(createdAt)}"`,
      };
    }
    case 'conflict':
      return rejectedItem(keyReused());
    case 'failed':
      return failedItem(ingested);
  }
}

function rejectedItem(error: RequestError): ItemResult {
  return { outcome: 'rejected', failure: failureText(error, false) };
}

export function keyReused(): RequestError {
  return new RequestError(
    'IDEMPOTENCY_KEY_REUSED',
    'this idempotency key has come with another event before; use a new key for a new event',
  );
}

export function acknowledgeEvents({ store, clock }: V1Services): Route {
  return route({
    method: 'POST',
    path: '/v1/events/ack',
    operationId: 'acknowledgeEvents',
    summary: 'Acknowledge up to 500 events in one call',
    description:
      'Each is acknowledged or not by itself: look at the outcome of each when the status is 207. An event that somebody ' +
      'has leased is left to them, unless `force` is true; the holder then learns that the lease is lost. One that has been ' +
      'acknowledged already is good, so that the call can be repeated. The call counts as many requests as it has events.',
    auth: true,
    controlled: true,
    body: schemas.AcknowledgeEventsBody,
    responses: { 200: schemas.AcknowledgedMany, 207: schemas.AcknowledgedMany },
    example: examples.acknowledgeEvents,
    handle: (request) => {
      const { tenant } = request.principal;
      const { event_ids, force } = request.body;
      const ids = distinctIds(event_ids);
      const call = () => store.acknowledgeMany(tenant, ids, clock.tick(), force);
      return replyForEach(request, ids, call, acknowledgedItem);
    },
  });
}

function acknowledgedItem(
  id: string,
  result: Acknowledgement | { readonly outcome: 'leased' } | Failed,
): ItemResult {
  const eventId = `,"event_id":"${id}"`;
  switch (result.outcome) {
    case 'acknowledged':
    case 'already':
      return {
        outcome: result.outcome === 'already' ? 'already_acknowledged' : 'acknowledged',
        members: `${eventId},"acknowledged_at":"${formatMicros(result.acknowledgedAt)}"`,
      };
    case 'missing':
      return {
        outcome: 'not_found',
        members: eventId,
        failure: failureText(eventNotFound(), false),
      };
    case 'leased':
      return {
        outcome: 'leased',
        members: eventId,
        failure: failureText(LEASED, true),
      };
    case 'failed':
      return { ...failedItem(result), members: eventId };
  }
}
