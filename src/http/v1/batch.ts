import { batchClaim, idempotencyClaim } from '../../events/claims.ts';
import { formatMicros } from '../../events/clock.ts';
import { ingestMany, type EventDraft, type Ingested, type MakeClaim } from '../../events/ingest.ts';
import { cutList, type CutValue } from '../../events/json-list.ts';
import { MANY, type Acknowledgement, type Failed } from '../../store/event-store.ts';
import type { Micros } from '../../store/event.ts';
import { BATCH_BODY_LIMIT, invalidJson } from '../body.ts';
import { createLoopTurns } from '../loop-turns.ts';
import { eventNotFound, invalidField, RequestError, validationError } from '../request-error.ts';
import { route, type Route } from '../route.ts';
import { inSlices } from '../slices.ts';
import { compileCheck } from '../validate.ts';
import * as examples from './examples.ts';
import { carryOut, failedItem, manyReply, type ItemResult } from './many.ts';
import type { V1Services } from './routes.ts';
import * as schemas from './schemas.ts';
import { headerKey, readDraft } from './wire.ts';

/** How long reading batches may hold up a turn of the event loop. */
const MS_PER_TURN = 5;

/** An event of a batch that can be stored, or what is wrong with it. */
type Item = { readonly draft: EventDraft; readonly claim: MakeClaim | undefined } | RequestError;

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
      const key = headerKey(head);
      const read = createReader(tenant, key, idempotencyTtl);
      const items: Item[] = [];
      const cut = cutList(bodyText, 'events');
      const members = createMemberCheck();
      await inSlices(turns, tenant, () => {
        const next = takeNext(cut);
        if (next === undefined) return false;
        members.saw(next);
        if (next.list) items.push(read(next, items.length));
        return true;
      });
      members.finish(items.length);
      const good = items.flatMap((item) => (item instanceof RequestError ? [] : [item]));
      const ingested = await carryOut(control, items.length, () => ingestMany(store, clock, tenant, good));
      let next = 0;
      const results = items.map((item) =>
        item instanceof RequestError ? rejectedItem(item) : createdItem(at(ingested, next++)),
      );
      return manyReply(results, requestId);
    },
  });
}

/** @throws a `RequestError` if the text is no JSON object. */
function takeNext(cut: Generator<CutValue, void>): CutValue | undefined {
  try {
    const { done, value } = cut.next();
    return done === true ? undefined : value;
  } catch (error) {
    throw invalidJson(error);
  }
}

function parse({ text, at }: CutValue): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalidJson(error, at);
  }
}

/** Checks the members of the body as its schema says, which nobody has parsed as a whole. */
function createMemberCheck() {
  const wrong = new Map<string, string>();
  let items = 0;
  return {
    /** @throws a `RequestError` for what is no JSON, and for more items than a call may have. */
    saw(value: CutValue): void {
      if (value.list) {
        if (++items > MANY) throw invalidField('events', `must have at most ${String(MANY)} items`);
        return;
      }
      parse(value);
      if (value.name === 'events') wrong.set('events', 'must be an array');
      else if (wrong.size < MOST_WRONG) wrong.set(value.name || 'body', 'is not a known field');
    },
    finish(found: number): void {
      if (found === 0 && !wrong.has('events')) wrong.set('events', 'must be an array of at least one event');
      if (wrong.size > 0) {
        throw validationError([...wrong].map(([field, message]) => ({ field, message })));
      }
    },
  };
}

const MOST_WRONG = 200;

const checkEvent = compileCheck(schemas.CreateEventBody, 'event');

/** The returned function reads one event. What is wrong with it alone is returned; it throws for what is no JSON. */
function createReader(tenant: string, key: string | undefined, ttl: Micros) {
  return (cut: CutValue, index: number): Item => {
    const value = parse(cut);
    try {
      const body = checkEvent(value);
      const draft = readDraft(cut.text, body);
      return { draft, claim: claimFor(tenant, key, index, draft, body.metadata?.idempotency_key, ttl) };
    } catch (error) {
      if (error instanceof RequestError) return error;
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
  return { outcome: 'rejected', failure: { error, retryable: false } };
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
      'Each is acknowledged or not by itself: look at the outcome of each when the status is 207. An event that has been ' +
      'acknowledged already is good, so that the call can be repeated. The call counts as many requests as it has events.',
    auth: true,
    controlled: true,
    body: schemas.AcknowledgeEventsBody,
    responses: { 200: schemas.AcknowledgedMany, 207: schemas.AcknowledgedMany },
    example: examples.acknowledgeEvents,
    handle: async ({ principal: { tenant }, body, requestId, control }) => {
      const ids = distinctIds(body.event_ids);
      const results = await carryOut(control, ids.length, () =>
        store.acknowledgeMany(tenant, ids, clock.tick(), true),
      );
      return manyReply(
        ids.map((id, index) => acknowledgedItem(id, at(results, index))),
        requestId,
      );
    },
  });
}

/** In lower case. @throws a `RequestError` that names the ones that came before. */
function distinctIds(sent: readonly string[]): string[] {
  const seen = new Set<string>();
  const twice: number[] = [];
  for (const [index, id] of sent.entries()) {
    const { size } = seen.add(id.toLowerCase());
    if (size <= index - twice.length) twice.push(index);
  }
  if (twice.length === 0) return [...seen];
  throw validationError(
    twice.map((index) => ({ field: `event_ids.${String(index)}`, message: 'has come before in this call' })),
  );
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
        failure: { error: eventNotFound(), retryable: false },
      };
    case 'leased':
      throw new TypeError('leased events are acknowledged too');
    case 'failed':
      return { ...failedItem(result), members: eventId };
  }
}

function at<Item>(items: readonly Item[], index: number): Item {
  const item = items[index];
  if (item === undefined) throw new TypeError('the store has not answered for each item');
  return item;
}
