import { randomUUID } from 'node:crypto';
import type { Micros } from '../event.ts';
import { LEASE_SKEW, type Redriven, type Settled, type Settlement } from '../lease-store.ts';
import type { Deadline } from './deadline.ts';
import {
  acknowledgedAtOf,
  isVisible,
  physicalTtl,
  positionOf,
  quarantineShardKey,
  shardKey,
  shardOf,
} from './event-item.ts';
import { getItem, VISIBLE } from './events-table.ts';
import type { FoundItem, Table, WriteResult } from './table.ts';

/** Leases as attributes of the event: every method is one conditional update, or two where the first one shows that it must be. */
export interface LeaseItems {
  /**
   * Leases the event if it is free.
   *
   * @param token 32 hex digits, of this lease alone. By it a repeated request recognizes its own first try.
   * @returns the event's item; `quarantined`: it has had all its attempts; undefined: it is not free.
   */
  take(take: Take, deadline: Deadline): Promise<FoundItem | 'quarantined' | undefined>;
  settle(tenant: string, settlement: Settlement, deadline: Deadline): Promise<Settled>;
  redrive(tenant: string, id: string, deadline: Deadline): Promise<Redriven>;
}

export interface Take {
  readonly tenant: string;
  readonly id: string;
  readonly token: string;
  readonly until: Micros;
}

export interface LeaseItemsOptions {
  readonly events: Table;
  readonly shards: number;
  readonly eventTtl: Micros;
  /** Leases without an acknowledgement, after which an event goes into quarantine; 0: never. */
  readonly maxAttempts: number;
  readonly now: () => Micros;
}

const FREE = '(attribute_not_exists(lease_until) OR lease_until <= :over)';
const MINE = '#status = :pending AND lease_token = :lease';
const RUNS = 'lease_until > :now';

/** An update without its key and its names. */
interface Change {
  readonly update: string;
  readonly condition: string;
  readonly values: Readonly<Record<string, unknown>>;
}

export function createLeaseItems(options: LeaseItemsOptions): LeaseItems {
  const { maxAttempts, now, eventTtl } = options;

  const quarantine = (tenant: string, id: string, deadline: Deadline, how: Quarantining) =>
    moveTo('quarantined', options, { tenant, id, ...how }, deadline);

  return {
    async take({ tenant, id, token, until }, deadline) {
      const time = now();
      const over = { ':over': time - LEASE_SKEW };
      const change = {
        update:
          'SET lease_token = :lease, lease_until = :until, attempts = if_not_exists(attempts, :none) + :one',
        condition:
          `#status = :pending AND ${VISIBLE} AND ${FREE}` +
          (maxAttempts > 0 ? ' AND (attribute_not_exists(attempts) OR attempts < :most)' : ''),
        values: {
          ...visibleAt(tenant, time, eventTtl),
          ...over,
          ...{ ':pending': 'pending', ':lease': token, ':until': until, ':none': 0, ':one': 1 },
          ...(maxAttempts > 0 ? { ':most': maxAttempts } : {}),
        },
      };
      const result = await send(options.events, id, change, deadline, true);
      if (result.written) return result.attributes;
      const found = await foundBy(result, options.events, id, deadline);
      if (found?.['lease_token'] === token) return found;
      if (!isExhausted(found, tenant, time, options)) return undefined;
      const condition = `attempts >= :most AND ${FREE}`;
      await quarantine(tenant, id, deadline, {
        condition: `#status = :pending AND ${condition}`,
        values: { ...over, ':pending': 'pending', ':most': maxAttempts },
        reason: null,
        claimTtl: claimTtlOf(found),
      });
      return 'quarantined';
    },

    settle: (tenant, settlement, deadline) => settleOne(options, tenant, settlement, deadline),

    async redrive(tenant, id, deadline) {
      const how = {
        condition: '#status = :quarantined',
        values: { ':quarantined': 'quarantined' },
        reason: null,
      };
      const moved = await moveTo('pending', options, { tenant, id, ...how, claimTtl: 0 }, deadline);
      if (moved === true) return { outcome: 'redriven' };
      const claimTtl = claimTtlOf(moved);
      const isThere = moved?.['status'] === 'quarantined' && isVisible(moved, tenant, now() - eventTtl);
      if (!isThere || claimTtl === 0) return { outcome: 'missing' };
      const again = await moveTo('pending', options, { tenant, id, ...how, claimTtl }, deadline);
      return { outcome: again === true ? 'redriven' : 'missing' };
    },
  };
}

async function settleOne(
  options: LeaseItemsOptions,
  tenant: string,
  settlement: Settlement,
  deadline: Deadline,
): Promise<Settled> {
  const { events, eventTtl, now, maxAttempts } = options;
  const { eventId: id, leaseId, action } = settlement;
  const time = now();
  const mine = { ':pending': 'pending', ':lease': leaseId };
  const token = randomUUID();
  const runs = { condition: `${MINE} AND ${RUNS}`, values: { ...mine, ':now': time } };
  const quarantineIt = async (reason: string | null, claimTtl = 0) =>
    moveTo('quarantined', options, { tenant, id, ...runs, reason, claimTtl, token }, deadline);

  if (action === 'reject') {
    const moved = await quarantineIt(settlement.reason);
    if (moved === true) return { outcome: 'quarantined' };
    const again =
      isRunning(moved, leaseId, time) && (await quarantineIt(settlement.reason, claimTtlOf(moved)));
    return again === true ? { outcome: 'quarantined' } : lostOrMissing(moved, tenant, time - eventTtl);
  }

  const change = changeOf(options, tenant, settlement, time, token);
  const result = await send(events, id, change, deadline);
  if (result.written) return settledAs(settlement, change);
  const found = await foundBy(result, events, id, deadline);
  if (found?.['settle_token'] === token) return settledAs(settlement, change);
  if (!isVisible(found, tenant, time - eventTtl)) return { outcome: 'missing' };
  if (action === 'ack') {
    if (found['lease_token'] !== leaseId) return { outcome: 'lost' };
    const acknowledgedAt = acknowledgedAtOf(id, found);
    return acknowledgedAt === null ? { outcome: 'lost' } : { outcome: 'acknowledged', acknowledgedAt };
  }
  if (!isRunning(found, leaseId, time)) return { outcome: 'lost' };
  if (action === 'release') {
    // All attempts have been used up: it was found out only now.
    if (!settlement.failed || maxAttempts === 0) return { outcome: 'lost' };
    const moved = await quarantineIt(settlement.reason, claimTtlOf(found));
    return moved === true ? { outcome: 'quarantined' } : { outcome: 'lost' };
  }
  // The event expires before the lease would.
  const until = Number(found['kept_from'] ?? found['created_at']) + eventTtl;
  const shorter = {
    ...change,
    condition: runs.condition,
    values: { ...runs.values, ':until': until, ':token': token },
  };
  const last = await send(events, id, shorter, deadline);
  return last.written ? { outcome: 'extended', until } : { outcome: 'lost' };
}

/** What `ack`, `release` and `extend` do to the event. */
function changeOf(
  { eventTtl, maxAttempts }: LeaseItemsOptions,
  tenant: string,
  settlement: Exclude<Settlement, { action: 'reject' }>,
  time: Micros,
  token: string,
): Change {
  const common = {
    ...visibleAt(tenant, time, eventTtl),
    ...{ ':pending': 'pending', ':lease': settlement.leaseId, ':token': token },
  };
  switch (settlement.action) {
    case 'ack':
      return {
        update:
          'SET #status = :acknowledged, acknowledged_at = :at, settle_token = :token ' +
          'REMOVE inbox_shard, inbox_position, lease_until, attempts, last_reason',
        condition: `${MINE} AND ${VISIBLE}`,
        values: { ...common, ':acknowledged': 'acknowledged', ':at': settlement.at },
      };
    case 'release': {
      const { delay, failed, reason } = settlement;
      const counted = failed && maxAttempts > 0;
      return {
        update:
          'SET settle_token = :token' +
          (delay > 0 ? ', lease_until = :free' : '') +
          (failed ? '' : ', attempts = attempts - :one') +
          (reason === null ? '' : ', last_reason = :reason') +
          ` REMOVE lease_token${delay > 0 ? '' : ', lease_until'}`,
        condition: `${MINE} AND ${RUNS} AND ${VISIBLE}${counted ? ' AND attempts < :most' : ''}`,
        values: {
          ...common,
          ':now': time,
          // Nobody has it until then, so that clocks which differ do no harm.
          ...(delay > 0 ? { ':free': time + delay - LEASE_SKEW } : {}),
          ...(failed ? {} : { ':one': 1 }),
          ...(reason === null ? {} : { ':reason': reason }),
          ...(counted ? { ':most': maxAttempts } : {}),
        },
      };
    }
    case 'extend': {
      const until = time + settlement.leaseFor;
      return {
        update: 'SET lease_until = :until, settle_token = :token',
        // An event that lives until the lease ends is visible now as well.
        condition: `${MINE} AND ${RUNS} AND ${VISIBLE}`,
        values: { ...common, ':horizon': until - 1 - eventTtl, ':now': time, ':until': until },
      };
    }
  }
}

function settledAs(settlement: Exclude<Settlement, { action: 'reject' }>, { values }: Change): Settled {
  if (settlement.action === 'ack') return { outcome: 'acknowledged', acknowledgedAt: settlement.at };
  if (settlement.action === 'release') return { outcome: 'released' };
  return { outcome: 'extended', until: Number(values[':until']) };
}

interface Quarantining {
  readonly condition: string;
  readonly values: Readonly<Record<string, unknown>>;
  /** Null: the last one stays. */
  readonly reason: string | null;
  /** The record must stay so long for its claim; 0: not known yet. */
  readonly claimTtl: number;
  readonly token?: string;
}

/**
 * Moves the event into quarantine or back, with a new lifetime.
 *
 * @returns true: it is done. Otherwise the item that did not meet the condition, if there is one; its claim may live longer than
 *   `claimTtl`.
 */
async function moveTo(
  status: 'pending' | 'quarantined',
  { events, shards, eventTtl, now }: LeaseItemsOptions,
  {
    tenant,
    id,
    condition,
    values,
    reason,
    claimTtl,
    token = randomUUID(),
  }: Quarantining & Pick<Take, 'tenant' | 'id'>,
  deadline: Deadline,
): Promise<true | FoundItem | undefined> {
  const time = now();
  const key = status === 'pending' ? shardKey : quarantineShardKey;
  const ttl = Math.max(physicalTtl(time + eventTtl), claimTtl);
  const change = {
    update:
      'SET #status = :status, inbox_shard = :shard, inbox_position = :position, kept_from = :since, ' +
      `settle_token = :token, #ttl = :ttl${reason === null ? '' : ', last_reason = :reason'} ` +
      `REMOVE lease_token, lease_until${status === 'pending' ? ', attempts, last_reason' : ''}`,
    condition: `${condition} AND ${VISIBLE} AND (attribute_not_exists(claim_ttl) OR claim_ttl <= :ttl)`,
    values: {
      ...visibleAt(tenant, time, eventTtl),
      ...values,
      ...{ ':status': status, ':shard': key(tenant, shardOf(id, shards)), ':position': positionOf(time, id) },
      ...{ ':since': time, ':token': token, ':ttl': ttl },
      ...(reason === null ? {} : { ':reason': reason }),
    },
  };
  const result = await send(events, id, change, deadline);
  if (result.written) return true;
  const found = await foundBy(result, events, id, deadline);
  return found?.['settle_token'] === token ? true : found;
}

function send(
  events: Table,
  id: string,
  { update, condition, values }: Change,
  deadline: Deadline,
  returnsItem = false,
): Promise<WriteResult> {
  const names = update.includes('#ttl') ? { '#status': 'status', '#ttl': 'ttl' } : { '#status': 'status' };
  return events.update(
    {
      Key: { event_id: id },
      UpdateExpression: update,
      ConditionExpression: condition,
      ExpressionAttributeNames: names,
      ExpressionAttributeValues: values,
      ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      ...(returnsItem ? { ReturnValues: 'ALL_NEW' } : {}),
    },
    deadline,
  );
}

async function foundBy(
  result: WriteResult,
  events: Table,
  id: string,
  deadline: Deadline,
): Promise<FoundItem | undefined> {
  return (result.written ? undefined : result.found) ?? (await getItem(events, id, deadline));
}

function visibleAt(tenant: string, time: Micros, eventTtl: Micros) {
  return { ':tenant': tenant, ':horizon': time - eventTtl };
}

function isExhausted(
  found: FoundItem | undefined,
  tenant: string,
  time: Micros,
  { maxAttempts, eventTtl }: LeaseItemsOptions,
): found is FoundItem {
  if (maxAttempts === 0 || !isVisible(found, tenant, time - eventTtl) || found['status'] !== 'pending')
    return false;
  return (
    Number(found['attempts'] ?? 0) >= maxAttempts && !(Number(found['lease_until'] ?? 0) > time - LEASE_SKEW)
  );
}

/** Whether the event is pending with this lease, and it runs. */
function isRunning(found: FoundItem | undefined, leaseId: string, time: Micros): found is FoundItem {
  return (
    found?.['status'] === 'pending' && found['lease_token'] === leaseId && Number(found['lease_until']) > time
  );
}

function lostOrMissing(found: FoundItem | undefined, tenant: string, horizon: Micros): Settled {
  return { outcome: isVisible(found, tenant, horizon) ? 'lost' : 'missing' };
}

function claimTtlOf(found: FoundItem | undefined): number {
  return Number(found?.['claim_ttl'] ?? 0);
}
