import { createHash, randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { Micros, StoredEvent } from '../event.ts';
import type { Leased, LeaseRequest, LeaseResult, Settlement } from '../lease-store.ts';
import { CorruptEventError, StoreOverloadedError } from '../store-errors.ts';
import type { StoreLog } from '../store-log.ts';
import type { Candidate, Candidates } from './candidates.ts';
import type { Compression } from './compression.ts';
import type { Deadline } from './deadline.ts';
import { fromItem, isVisible, leasedUntil } from './event-item.ts';
import { getItems } from './events-table.ts';
import type { LeaseItems } from './lease-items.ts';
import { readCall, recordCall, type RecordedCall } from './lease-calls.ts';
import type { FoundItem, Table } from './table.ts';

export interface LeasesOptions {
  readonly events: Table;
  readonly claims: Table;
  readonly items: LeaseItems;
  readonly candidates: Candidates;
  readonly compression: Compression;
  readonly eventTtl: Micros;
  readonly now: () => Micros;
  readonly log: StoreLog;
}

/** What one call is about to lease, so that it can be given back if nobody hears of it. Tokens by the id of their event. */
export interface Attempted {
  readonly tokens: Map<string, string>;
  /** Those of `tokens` of which nobody knows whether they are leased. */
  readonly unclear: Map<string, string>;
}

type LeasedNow = Omit<LeaseResult, 'settled'>;

/** How often a call looks for more when others were faster. */
const ROUNDS = 4;

/**
 * Hands out free events of the tenant. Each is one conditional update, so that no two get one; candidates come from the index, which
 * may lag.
 */
export async function leaseFree(
  options: LeasesOptions,
  tenant: string,
  request: LeaseRequest,
  attempted: Attempted,
  take: (bytes: number) => boolean,
  deadline: Deadline,
): Promise<LeasedNow> {
  const { claims, now } = options;
  const call = request.callKey === undefined ? undefined : callId(tenant, request.callKey);
  const earlier = call === undefined ? undefined : await readCall(claims, call, deadline);
  if (earlier !== undefined && earlier.until > now()) return repeated(options, tenant, earlier, deadline);

  const leased: Leased[] = [];
  // The leases of a call are on record before there are any. So it has only one round.
  const rounds = call === undefined ? ROUNDS : 1;
  let refused = false;
  let more = false;
  for (let round = 0; round < rounds && leased.length < request.limit && !refused; round++) {
    const wanted = request.limit - leased.length;
    const found = await options.candidates.pick(tenant, { ...request, limit: wanted }, take, deadline);
    refused = found.refused;
    more = found.more;
    const until = now() + request.leaseFor;
    const takes = found.candidates.map((candidate) => ({
      ...candidate,
      token: randomBytes(16).toString('hex'),
      until: Math.min(until, candidate.expiresAt),
    }));
    if (takes.length === 0) break;
    for (const { id, token } of takes) attempted.tokens.set(id, token);
    if (
      call !== undefined &&
      !(await recordCall(claims, call, { until, tokens: attempted.tokens }, now(), deadline))
    ) {
      for (const { id } of takes) options.candidates.returned(tenant, id);
      const other = await readCall(claims, call, deadline);
      return other === undefined ? { leased: [] } : repeated(options, tenant, other, deadline);
    }
    // With a key there is no other round: where others were faster, the same call may have more luck.
    if (call !== undefined) more = true;
    leased.push(...(await takeAll(options, tenant, takes, attempted.unclear, deadline)));
    if (found.full) break;
  }
  if (call !== undefined && leased.length === 0 && attempted.tokens.size > 0) {
    // The call may find something when it is repeated.
    await recordCall(claims, call, { until: 0, tokens: attempted.tokens }, now(), deadline);
  }
  if (refused && leased.length === 0) {
    throw new StoreOverloadedError('too many bytes of events are under way');
  }
  return leased.length === 0 && more ? { leased, more } : { leased };
}

async function repeated(
  options: LeasesOptions,
  tenant: string,
  call: RecordedCall,
  deadline: Deadline,
): Promise<LeasedNow> {
  return { leased: await stillLeased(options, tenant, call, deadline), repeated: true };
}

interface Taking extends Candidate {
  readonly token: string;
  readonly until: Micros;
}

async function takeAll(
  options: LeasesOptions,
  tenant: string,
  takes: readonly Taking[],
  unclear: Map<string, string>,
  deadline: Deadline,
): Promise<readonly Leased[]> {
  // Each request listens to it.
  setMaxListeners(0, deadline.signal);
  const errors: unknown[] = [];
  const found = await Promise.all(
    takes.map(async ({ id, token, until }) => {
      try {
        const item = await options.items.take({ tenant, id, token, until }, deadline);
        return typeof item === 'object' ? await toLeased(options, item) : undefined;
      } catch (error) {
        errors.push(error);
        unclear.set(id, token);
        return undefined;
      }
    }),
  );
  const leased = found.filter((one) => one !== undefined);
  if (leased.length === 0 && errors.length > 0) throw errors[0];
  return leased;
}

/** Those leases of an earlier call that run and have not been settled. */
async function stillLeased(
  options: LeasesOptions,
  tenant: string,
  { tokens }: RecordedCall,
  deadline: Deadline,
): Promise<readonly Leased[]> {
  const { events, now, eventTtl } = options;
  const items = await getItems(events, [...tokens.keys()], deadline);
  const leased: Leased[] = [];
  for (const [id, token] of tokens) {
    const item = items.get(id);
    if (!isVisible(item, tenant, now() - eventTtl) || item['lease_token'] !== token) continue;
    if (leasedUntil(item, now()) === undefined) continue;
    const one = await toLeased(options, item);
    if (one !== undefined) leased.push(one);
  }
  return leased;
}

async function toLeased({ compression, log }: LeasesOptions, item: FoundItem): Promise<Leased | undefined> {
  let event: StoredEvent;
  try {
    event = await fromItem(item, compression);
  } catch (error) {
    if (!(error instanceof CorruptEventError)) throw error;
    // It is leased until its attempts are used up, and goes into quarantine then.
    log.error({ err: error, event_id: item['event_id'] }, 'damaged event left out of a lease');
    return undefined;
  }
  const { lease_token: id, lease_until: until, attempts: attempt, last_reason: reason } = item;
  const lastReason = typeof reason === 'string' ? reason : null;
  return { event, lease: { id: String(id), until: Number(until), attempt: Number(attempt), lastReason } };
}

/** Carries the settlement out. A lease that is given back makes its event a candidate again at once. */
export async function settleLease(
  { items, candidates }: Pick<LeasesOptions, 'items' | 'candidates'>,
  tenant: string,
  settlement: Settlement,
  deadline: Deadline,
) {
  const settled = await items.settle(tenant, settlement, deadline);
  if (settled.outcome === 'released') candidates.returned(tenant, settlement.eventId);
  return settled;
}

function callId(tenant: string, callKey: string): string {
  return createHash('sha256').update(`lease\n${tenant}\n${callKey}`).digest('hex');
}
