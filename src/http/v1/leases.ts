import type { Static } from 'typebox';
import {
  giveBack,
  leaseEvents as lease,
  settleLeases as settle,
  type ActionResult,
  type HandedOut,
  type LeaseAction,
  type LeaseOutcome,
} from '../../events/leases.ts';
import type { Failed } from '../../store/event-store.ts';
import { MANY } from '../../store/event-store.ts';
import { BATCH_BODY_LIMIT } from '../body.ts';
import { eventNotFound, invalidField, LEASE_LOST, LEASE_MALFORMED, unavailable } from '../request-error.ts';
import type { Reply } from '../reply.ts';
import { AGAIN } from '../../events/waiting.ts';
import { route, type Control, type Route, type RouteRequest } from '../route.ts';
import { StoreUnavailableError } from '../../store/store-errors.ts';
import { within } from '../within.ts';
import * as examples from './examples.ts';
import {
  askStore,
  at,
  distinct,
  failedItem,
  failureText,
  replyForEach,
  REPLY_MS,
  STORE_MS,
  resultsText,
  tooLong,
  unanswered,
  type ItemResult,
} from './many.ts';
import type { V1Services } from './routes.ts';
import * as schemas from './schemas.ts';
import { maybeWaiting, wantedBy, type Wait } from './wait.ts';
import { eventMembers, headerKey, timeOrNull } from './wire.ts';

const SECOND = 1e6;

export function leaseEvents(services: V1Services): Route {
  return route({
    method: 'POST',
    path: '/v1/inbox/lease',
    operationId: 'leaseEvents',
    summary: 'Lease pending events, oldest first: while a lease runs, no other call gets its event',
    description:
      'Settles what `settle` says, then leases up to `limit` events, or as many as have 4 MiB of payload. Settle each lease before ' +
      'it ends, here or by `POST /v1/inbox/settle`: an event whose lease has run out is there again. With nothing free it is 200 ' +
      'with no events; `backlog.empty` says whether there is really nothing. With an `Idempotency-Key` the call can be repeated ' +
      'within `lease_seconds`, and gets its leases again: an answer that is lost costs nothing. Without a key, leases whose client ' +
      'has gone are given back. With `wait_seconds` the answer comes as soon as there is something, or empty when the time is up; a ' +
      'settlement that failed ends the wait. Then the 200 may begin before its body, with blanks. It is 200 also where a settlement ' +
      'failed: look at `settled`. The call counts as many requests as it settles leases.',
    auth: true,
    controlled: true,
    paged: true,
    bodyLimit: BATCH_BODY_LIMIT,
    body: schemas.LeaseBody,
    headers: schemas.LeaseHeaders,
    responses: { 200: schemas.Leases },
    example: examples.leaseEvents,
    handle: ({ principal, head, body, requestId, control }) => {
      const call = {
        actions: readActions(body.settle ?? {}, 'settle.'),
        limit: body.limit ?? 10,
        leaseFor: (body.lease_seconds ?? 60) * SECOND,
        source: body.source,
        type: body.event_type,
        idempotencyKey: headerKey(head),
      };
      const seconds = body.wait_seconds ?? 0;
      return maybeWaiting(services.waiting, { principal, control }, seconds, (wait) =>
        leaseAndReply(
          services,
          { principal, requestId, control },
          { ...call, patient: seconds > 0 && control.holds },
          wait,
        ),
      );
    },
  });
}

type Asked = Pick<RouteRequest<unknown, unknown, unknown>, 'principal' | 'requestId' | 'control'>;

async function leaseAndReply(
  services: V1Services,
  { principal: { tenant }, requestId, control }: Asked,
  call: LeaseCall,
  wait: Wait,
): Promise<Reply> {
  const { results, repeated, more, ...now } = await carryOutLease(control, services, tenant, call);
  const settled = results.map((result) => settledItem(result.action, result));
  const text = (handedOut: readonly HandedOut[], backlog: Backlog): string =>
    `{"events":[${handedOut.map(leasedEvent).join(',')}],"settled":${resultsText(settled)},` +
    `"backlog":${JSON.stringify(backlog)},"request_id":"${requestId}"}`;
  let { handedOut } = now;
  const giveUpAll = () => giveUp(services, tenant, call, handedOut);
  const requireClient = async (ms: number): Promise<void> => {
    if (control.prolong(ms)) return;
    await giveUpAll();
    throw GONE;
  };
  const isGood = settled.every(({ failure }) => failure === undefined);
  if (handedOut.length === 0 && isGood && !repeated) {
    const { source, type, idempotencyKey: key } = call;
    const wanted = { ...wantedBy('lease', { source, type }), key };
    const look = () => leaseSome(services, tenant, { ...call, actions: [] });
    handedOut = (await wait(wanted, () => text([], unknownBacklog(0)), look, more)) ?? [];
    await requireClient(STORE_MS + REPLY_MS);
  }
  const backlog = await lookAtBacklog(services.store, tenant, handedOut.length);
  await requireClient(REPLY_MS);
  const unsent = () => void giveUpAll().catch(() => undefined);
  return { status: 200, body: text(handedOut, backlog), unsent };
}

/** Nobody sees it. One for all: a stack costs as much as all the rest when thousands go at once. */
const GONE = unavailable('the client has gone');

type LeaseCall = Parameters<typeof lease>[2];

/** Undefined: there are none, and there may be some later. `AGAIN`: there may be some now. What comes too late is given back. */
async function leaseSome(services: V1Services, tenant: string, call: LeaseCall) {
  const answer = lease(services, tenant, call);
  const { handedOut, repeated, more } = await within(answer, STORE_MS, () => {
    giveUpLate(services, tenant, call, answer);
    throw new StoreUnavailableError('no answer from the store in time');
  });
  if (handedOut.length > 0 || repeated) return handedOut;
  return more ? AGAIN : undefined;
}

/** What comes too late for the reply is given back. */
function carryOutLease(
  control: Control,
  services: V1Services,
  tenant: string,
  call: LeaseCall,
): Promise<LeaseOutcome> {
  const { actions } = call;
  const late = (answer: Promise<LeaseOutcome>): LeaseOutcome => {
    giveUpLate(services, tenant, call, answer);
    if (actions.length === 0) throw tooLong();
    const results = actions.map(({ action }) => ({ action, eventId: null, ...unanswered() }));
    return { handedOut: [], results, repeated: false, more: false };
  };
  return askStore(control, actions.length, () => lease(services, tenant, call), late);
}

/** Gives back what comes when nobody waits for it any more. */
function giveUpLate(
  services: V1Services,
  tenant: string,
  call: LeaseCall,
  answer: Promise<Pick<LeaseOutcome, 'handedOut'>>,
): void {
  answer.then(({ handedOut }) => giveUp(services, tenant, call, handedOut)).catch(() => undefined);
}

/** Gives back what nobody learns of. A call with a key is repeated, and finds its leases. */
async function giveUp(
  { store }: V1Services,
  tenant: string,
  { idempotencyKey }: LeaseCall,
  handedOut: readonly HandedOut[],
): Promise<void> {
  if (idempotencyKey === undefined) await giveBack(store, tenant, handedOut);
}

/**
 * What is pending, leased events included. A count may be some seconds old, so it does not say that there is nothing. The leases are
 * there already: where the store does not answer any more, it is a lower bound.
 */
async function lookAtBacklog(store: V1Services['store'], tenant: string, leased: number): Promise<Backlog> {
  const unknown = unknownBacklog(leased);
  const looking = async () => {
    const [{ count, exact }, first] = await Promise.all([
      store.countPending(tenant),
      leased > 0 ? undefined : store.listPending(tenant, { limit: 1, after: null }),
    ]);
    const empty = first !== undefined && first.events.length === 0 && first.next === null;
    const least = empty ? 0 : Math.max(1, leased);
    return { empty, pending: empty ? 0 : Math.max(count, least), is_lower_bound: !exact || count < least };
  };
  return within(looking(), COUNT_MS, () => unknown).catch(() => unknown);
}

const COUNT_MS = 500;

type Backlog = Static<typeof schemas.Leases>['backlog'];

function unknownBacklog(leased: number): Backlog {
  return { empty: false, pending: leased, is_lower_bound: true };
}

function leasedEvent({ event, lease: { until, attempt, lastReason }, token }: HandedOut): string {
  return (
    `{${eventMembers(event)},"lease":{"token":"${token}","expires_at":${timeOrNull(until)},` +
    `"attempt":${String(attempt)},"last_reason":${JSON.stringify(lastReason)}}}`
  );
}

export function settleLeases(services: V1Services): Route {
  return route({
    method: 'POST',
    path: '/v1/inbox/settle',
    operationId: 'settleLeases',
    summary: 'Acknowledge, release, reject or extend up to 500 leases',
    description:
      'Each by its token, by itself: look at the outcome of each when the status is 207. The results come in the order ack, ' +
      'release, reject, extend. A late `ack` is accepted for as long as nobody else has leased the event; `release` and `extend` ' +
      'need a lease that runs. The same `ack` twice is `acknowledged` twice. `failed: false` gives a lease back without counting ' +
      'it as an attempt. Rejected events, and those released after their last attempt, go into quarantine. The call counts as many ' +
      'requests as it settles leases.',
    auth: true,
    controlled: true,
    bodyLimit: BATCH_BODY_LIMIT,
    body: schemas.SettleBody,
    responses: { 200: schemas.SettledMany, 207: schemas.SettledMany },
    example: examples.settleLeases,
    handle: (request) => {
      const { tenant } = request.principal;
      const actions = readActions(request.body, '');
      if (actions.length === 0) throw invalidField('body', 'must settle at least one lease');
      const call = () => settle(services, tenant, actions);
      return replyForEach(request, actions, call, ({ action }, result) => settledItem(action, result));
    },
  });
}

/**
 * In the order ack, release, reject, extend.
 *
 * @param path of the object in the body: empty, or with a dot at its end.
 * @throws a `RequestError` for a token that comes twice, and for too many of them.
 */
function readActions(sent: Static<typeof schemas.SettleBody>, path: string): readonly LeaseAction[] {
  const { ack = [], release = [], reject = [], extend = [] } = sent;
  const fields: string[] = [];
  const all = <Item>(items: readonly Item[], name: string, make: (item: Item) => LeaseAction) =>
    items.map((item, index) => {
      fields.push(`${path}${name}.${String(index)}`);
      return make(item);
    });
  const actions: readonly LeaseAction[] = [
    ...all(ack, 'ack', (token) => ({ action: 'ack', token })),
    ...all(release, 'release', ({ token, delay_seconds = 0, failed = true, reason = null }) => ({
      ...{ action: 'release', token, failed, reason },
      delay: delay_seconds * SECOND,
    })),
    ...all(reject, 'reject', ({ token, reason = null }) => ({ action: 'reject', token, reason })),
    ...all(extend, 'extend', ({ token, lease_seconds }) => ({
      ...{ action: 'extend', token },
      leaseFor: lease_seconds * SECOND,
    })),
  ];
  if (actions.length > MANY) {
    throw invalidField(path === '' ? 'body' : 'settle', `must settle at most ${String(MANY)} leases`);
  }
  distinct(
    actions.map(({ token }) => token),
    (index) => at(fields, index),
  );
  return actions;
}

function settledItem(action: LeaseAction['action'], result: ActionResult | Failed): ItemResult {
  const id = 'eventId' in result && result.eventId !== null ? `,"event_id":"${result.eventId}"` : '';
  const members = `,"action":"${action}"${id}`;
  const { outcome } = result;
  switch (outcome) {
    case 'acknowledged':
      return { outcome, members: `${members},"acknowledged_at":${timeOrNull(result.at)}` };
    case 'extended':
      return { outcome, members: `${members},"expires_at":${timeOrNull(result.at)}` };
    case 'released':
    case 'quarantined':
      return { outcome, members };
    case 'failed':
      return { ...failedItem(result), members };
    case 'lease_lost':
    case 'lease_malformed':
    case 'not_found':
      return { outcome, members, failure: failureText(REFUSALS[outcome], false) };
  }
}

const REFUSALS = {
  lease_lost: LEASE_LOST,
  lease_malformed: LEASE_MALFORMED,
  not_found: eventNotFound(),
};
