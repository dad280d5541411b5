import { GetCommand, PutCommand, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import type { Micros } from '../event.ts';
import { CorruptEventError, StoreUnavailableError } from '../store-errors.ts';
import { insist, type Deadline } from './deadline.ts';
import { conflictingItem, type FoundItem } from './events-table.ts';
import { isMissingTable, missingTable } from './failure.ts';
import { physicalTtl } from './event-item.ts';

/** The table of claims, by `claim_key` alone. All reads are consistent; what may be tried again is, until the deadline. */
export interface ClaimsTable {
  readonly client: DynamoDBDocumentClient;
  readonly name: string;
}

/** A claim, and the event that has it. */
export interface HeldClaim {
  readonly key: string;
  readonly fingerprint: string;
  readonly expiresAt: Micros;
  readonly eventId: string;
  /** Of the event. */
  readonly createdAt: Micros;
}

/**
 * Takes the claim if nobody holds it at the time of the event that brings it. That time decides: the engine deletes what
 * has expired a day later, or never, and the wall clock may have been set back since the claim was made.
 *
 * @returns who holds it now. That may be `mine` by an earlier try whose answer was lost. Undefined: whoever held it
 *   has gone between two requests; ask again.
 */
export async function takeClaim(
  claims: ClaimsTable,
  mine: HeldClaim,
  deadline: Deadline,
): Promise<HeldClaim | undefined> {
  const request = new PutCommand({
    TableName: claims.name,
    Item: toItem(mine),
    ConditionExpression: 'attribute_not_exists(claim_key) OR expires_at <= :made',
    ExpressionAttributeValues: { ':made': mine.createdAt },
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  });
  try {
    await insist((abortSignal) => claims.client.send(request, { abortSignal }), deadline);
    return mine;
  } catch (error) {
    if (isMissingTable(error)) {
      throw new StoreUnavailableError(missingTable(claims.name), { cause: error });
    }
    const item = await conflictingItem(error, () => getClaim(claims, mine.key, deadline));
    const held = item && fromItem(item);
    return held !== undefined && held.expiresAt > mine.createdAt ? held : undefined;
  }
}

async function getClaim(
  { client, name }: ClaimsTable,
  key: string,
  deadline: Deadline,
): Promise<FoundItem | undefined> {
  const request = new GetCommand({ TableName: name, Key: { claim_key: key }, ConsistentRead: true });
  const { Item } = await insist((abortSignal) => client.send(request, { abortSignal }), deadline);
  return Item;
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

/** @throws a `CorruptEventError` when the record is none that `toItem` makes. */
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
