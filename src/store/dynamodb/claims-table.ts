import type { Micros } from '../event.ts';
import { CorruptEventError, StoreUnavailableError } from '../store-errors.ts';
import type { Deadline } from './deadline.ts';
import { isMissingTable, missingTable } from './failure.ts';
import { physicalTtl } from './event-item.ts';
import type { FoundItem, Table, WriteResult } from './table.ts';

/** A claim, and the event that holds it. */
export interface HeldClaim {
  readonly key: string;
  readonly fingerprint: string;
  readonly expiresAt: Micros;
  readonly eventId: string;
  /** Time of the event. */
  readonly createdAt: Micros;
}

/**
 * Takes the claim, in the table of claims with the key `claim_key`, if nobody holds it at the time of the event that brings it.
 * That time decides, because the engine deletes expired claims a day later or never, and because the wall clock may have been set
 * back since the claim was made.
 *
 * @returns the claim as it is held now. It may be `mine`, by an earlier try whose answer was lost. Undefined: its holder
 *   disappeared between two requests; try again.
 */
export async function takeClaim(
  claims: Table,
  mine: HeldClaim,
  deadline: Deadline,
): Promise<HeldClaim | undefined> {
  const result = await putClaim(claims, mine, deadline);
  if (result.written) return mine;
  const item = result.found ?? (await claims.get({ Key: { claim_key: mine.key } }, deadline));
  const held = item && fromItem(item);
  return held !== undefined && held.expiresAt > mine.createdAt ? held : undefined;
}

async function putClaim(claims: Table, mine: HeldClaim, deadline: Deadline): Promise<WriteResult> {
  const put = {
    Item: toItem(mine),
    ConditionExpression: 'attribute_not_exists(claim_key) OR expires_at <= :made',
    ExpressionAttributeValues: { ':made': mine.createdAt },
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  } as const;
  try {
    return await claims.put(put, deadline);
  } catch (error) {
    // The caller's own error would name the events table.
    if (!isMissingTable(error)) throw error;
    throw new StoreUnavailableError(missingTable(claims.name), { cause: error });
  }
}

function toItem({ key, fingerprint, expiresAt, eventId, createdAt }: HeldClaim) {
  return {
    claim_key: key,
    fingerprint,
    expires_at: expiresAt,
    event_id: eventId,
    created_at: createdAt,
    ttl: physicalTtl(expiresAt),
  };
}

/** @throws a `CorruptEventError` when `toItem` does not make such records. */
function fromItem(item: FoundItem): HeldClaim {
  const {
    claim_key: key,
    fingerprint,
    expires_at: expiresAt,
    event_id: eventId,
    created_at: createdAt,
  } = item;
  const broken = (what: string) => new CorruptEventError(`claim ${String(key)}: ${what} is damaged`);
  if (typeof key !== 'string') throw broken('claim_key');
  if (typeof fingerprint !== 'string') throw broken('fingerprint');
  if (typeof eventId !== 'string') throw broken('event_id');
  if (!isTime(expiresAt)) throw broken('expires_at');
  if (!isTime(createdAt)) throw broken('created_at');
  return { key, fingerprint, expiresAt, eventId, createdAt };
}

function isTime(value: unknown): value is Micros {
  return Number.isSafeInteger(value);
}
