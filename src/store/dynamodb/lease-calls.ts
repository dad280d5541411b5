import type { Micros } from '../event.ts';
import type { Deadline } from './deadline.ts';
import { physicalTtl } from './event-item.ts';
import type { Table } from './table.ts';

/** What a lease call with a key has leased, in the table of claims, so that the call can be repeated. */
export interface RecordedCall {
  /** None of its leases runs longer, unless it is extended. */
  readonly until: Micros;
  /** Tokens of the leases, by the id of their event. */
  readonly tokens: ReadonlyMap<string, string>;
}

/** @param id 64 hex digits, hashed from other text than any claim. */
export async function readCall(
  claims: Table,
  id: string,
  deadline: Deadline,
): Promise<RecordedCall | undefined> {
  const item = await claims.get({ Key: { claim_key: id } }, deadline);
  const { leased_until: until, leases } = item ?? {};
  if (typeof until !== 'number' || typeof leases !== 'string') return undefined;
  const pairs = leases.split(' ').map((pair) => pair.split('/'));
  return { until, tokens: new Map(pairs.map(([event = '', token = '']) => [event, token])) };
}

/**
 * Writes the record, over one whose leases have run out by `now`.
 *
 * @returns false: the same call is under way elsewhere, and has its own record.
 */
export async function recordCall(
  claims: Table,
  id: string,
  { until, tokens }: RecordedCall,
  now: Micros,
  deadline: Deadline,
): Promise<boolean> {
  const leases = [...tokens].map(([event, token]) => `${event}/${token}`).join(' ');
  const put = {
    Item: { claim_key: id, leased_until: until, leases, ttl: physicalTtl(Math.max(until, now)) },
    // An earlier try of this request, whose answer was lost, has written the same text.
    ConditionExpression: 'attribute_not_exists(claim_key) OR leased_until <= :now OR leases = :leases',
    ExpressionAttributeValues: { ':now': now, ':leases': leases },
  };
  return (await claims.put(put, deadline)).written;
}
