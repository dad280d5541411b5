import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateTableCommand,
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  UpdateTimeToLiveCommand,
  UpdateTableCommand,
  type CreateTableCommandInput,
  type GlobalSecondaryIndex,
  type GlobalSecondaryIndexDescription,
  type TableDescription,
} from '@aws-sdk/client-dynamodb';
import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { StoreUnavailableError } from '../store-errors.ts';
import { withDeadline } from './deadline.ts';
import { isMissingTable, missingTable } from './failure.ts';

export interface TableNames {
  readonly events: string;
  readonly claims: string;
  readonly keys: string;
}

/** The index of versions without leases, which does not show them. */
export const INBOX_INDEX = 'inbox-index';

/** The index that shows leases: the same keys, and more attributes, because those of an index cannot be changed. */
export const LEASE_INDEX = 'lease-index';

/** Without payload and metadata, so that a 400 KB event costs the index one write unit. */
const OLD_PROJECTION = ['source', 'event_type', 'payload_bytes', 'ttl'];

const LEASE_INDEX_DEFINITION: GlobalSecondaryIndex = {
  IndexName: LEASE_INDEX,
  KeySchema: [
    { AttributeName: 'inbox_shard', KeyType: 'HASH' },
    { AttributeName: 'inbox_position', KeyType: 'RANGE' },
  ],
  Projection: {
    ProjectionType: 'INCLUDE',
    NonKeyAttributes: [...OLD_PROJECTION, 'lease_until', 'attempts'],
  },
};

const POLL_MS = 250;

/** No client waits for these requests, and an emulator that has just started takes seconds for its first table. */
const REQUEST_MS = 10_000;

/** All of them have a TTL attribute named `ttl`. */
export function tableDefinitions(names: TableNames): readonly CreateTableCommandInput[] {
  return [
    {
      TableName: names.events,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [
        { AttributeName: 'event_id', AttributeType: 'S' },
        { AttributeName: 'inbox_shard', AttributeType: 'S' },
        { AttributeName: 'inbox_position', AttributeType: 'S' },
      ],
      KeySchema: [{ AttributeName: 'event_id', KeyType: 'HASH' }],
      GlobalSecondaryIndexes: [LEASE_INDEX_DEFINITION],
    },
    {
      TableName: names.claims,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [{ AttributeName: 'claim_key', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'claim_key', KeyType: 'HASH' }],
    },
    {
      TableName: names.keys,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [{ AttributeName: 'key_id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'key_id', KeyType: 'HASH' }],
    },
  ];
}

/**
 * Resolves when the table is usable.
 *
 * @throws a `StoreUnavailableError` that says what is missing, or an error of the SDK.
 */
export async function checkTable(
  client: DynamoDBDocumentClient,
  wanted: CreateTableCommandInput,
): Promise<void> {
  const table = await describe(client, String(wanted.TableName));
  if (table === undefined) throw new StoreUnavailableError(missingTable(String(wanted.TableName)));
  checkShape(table, wanted);
  if (!isActive(table))
    throw new StoreUnavailableError(`table ${String(wanted.TableName)} is not active yet`);
}

/**
 * Creates the table if it is missing, waits until it is usable, and enables its TTL. Idempotent.
 *
 * @returns whether it was created now.
 * @throws a `StoreUnavailableError` when a table of that name has another shape, or an error of the SDK.
 */
export async function createTable(
  client: DynamoDBDocumentClient,
  wanted: CreateTableCommandInput,
  signal?: AbortSignal,
): Promise<boolean> {
  let table = await describe(client, String(wanted.TableName));
  const created = table === undefined;
  if (created) {
    await patiently((options) => client.send(new CreateTableCommand(wanted), options)).catch(
      ignore('ResourceInUseException'),
    );
    table = await describe(client, String(wanted.TableName));
  }
  while (table === undefined || !isActive(table)) {
    await sleep(POLL_MS, undefined, { signal });
    table = await describe(client, String(wanted.TableName));
  }
  checkShape(table, wanted);
  await enableTtl(client, String(wanted.TableName));
  return created;
}

/** Undefined: there is no such table. */
export async function describe(
  client: DynamoDBDocumentClient,
  TableName: string,
): Promise<TableDescription | undefined> {
  try {
    const { Table } = await patiently((options) =>
      client.send(new DescribeTableCommand({ TableName }), options),
    );
    return Table;
  } catch (error) {
    if (isMissingTable(error)) return undefined;
    throw error;
  }
}

function isActive(table: TableDescription): boolean {
  // A table can be used while it is UPDATING (its TTL, its capacity, a further index).
  if (!['ACTIVE', 'UPDATING'].includes(table.TableStatus ?? '')) return false;
  return (table.GlobalSecondaryIndexes ?? []).length === 0 || usableIndex(table) !== undefined;
}

/** The index to read: the newest one that is complete. */
export function usableIndex(table: TableDescription): string | undefined {
  return [LEASE_INDEX, INBOX_INDEX].find((name) => isComplete(indexOf(table, name)));
}

function indexOf(table: TableDescription, name: string) {
  return table.GlobalSecondaryIndexes?.find(({ IndexName }) => IndexName === name);
}

/** Engines that build indexes at once do not report their status. */
function isComplete(index: GlobalSecondaryIndexDescription | undefined): boolean {
  return index !== undefined && ['ACTIVE', 'UPDATING'].includes(index.IndexStatus ?? 'ACTIVE');
}

function checkShape(table: TableDescription, wanted: CreateTableCommandInput): void {
  const name = String(wanted.TableName);
  if (shape(table.KeySchema) !== shape(wanted.KeySchema)) {
    throw new StoreUnavailableError(
      `table ${name} has the key ${shape(table.KeySchema)} instead of ${shape(wanted.KeySchema)}`,
    );
  }
  for (const { IndexName = '', KeySchema, Projection } of wanted.GlobalSecondaryIndexes ?? []) {
    const newest = indexOf(table, IndexName);
    const index = newest ?? indexOf(table, INBOX_INDEX);
    const attributes = newest === undefined ? OLD_PROJECTION : Projection?.NonKeyAttributes;
    const projected = index?.Projection?.NonKeyAttributes ?? [];
    const complete =
      index?.Projection?.ProjectionType === 'ALL' ||
      attributes?.every((attribute) => projected.includes(attribute));
    if (shape(index?.KeySchema) !== shape(KeySchema) || !complete) {
      throw new StoreUnavailableError(`table ${name} lacks the index ${IndexName}, or it has another shape`);
    }
  }
}

function shape(keys: TableDescription['KeySchema'] = []): string {
  return keys.map(({ AttributeName, KeyType }) => `${String(AttributeName)} (${String(KeyType)})`).join(', ');
}

/**
 * Makes the index for leases on an events table of a version without them, beside the other one, and resolves when it is complete.
 * Idempotent.
 *
 * @returns whether it was made now.
 */
export async function addLeaseIndex(client: DynamoDBDocumentClient, TableName: string): Promise<boolean> {
  let table = await describe(client, TableName);
  if (table === undefined) throw new StoreUnavailableError(missingTable(TableName));
  const made = indexOf(table, LEASE_INDEX) === undefined;
  if (made) {
    const update = {
      TableName,
      AttributeDefinitions: table.AttributeDefinitions,
      GlobalSecondaryIndexUpdates: [{ Create: LEASE_INDEX_DEFINITION }],
    };
    await patiently((options) => client.send(new UpdateTableCommand(update), options));
  }
  while (!isComplete(indexOf(table, LEASE_INDEX))) {
    await sleep(POLL_MS);
    table = (await describe(client, TableName)) ?? {};
  }
  return made;
}

/**
 * Deletes the index of versions without leases, once the other one is complete. Idempotent.
 *
 * @returns whether it was there.
 */
export async function dropInboxIndex(client: DynamoDBDocumentClient, TableName: string): Promise<boolean> {
  const table = await describe(client, TableName);
  if (table === undefined) throw new StoreUnavailableError(missingTable(TableName));
  if (!isComplete(indexOf(table, LEASE_INDEX))) {
    throw new StoreUnavailableError(
      `table ${TableName} still needs ${INBOX_INDEX}: ${LEASE_INDEX} is not complete`,
    );
  }
  if (indexOf(table, INBOX_INDEX) === undefined) return false;
  const GlobalSecondaryIndexUpdates = [{ Delete: { IndexName: INBOX_INDEX } }];
  const update = new UpdateTableCommand({ TableName, GlobalSecondaryIndexUpdates });
  await patiently((options) => client.send(update, options));
  return true;
}

async function enableTtl(client: DynamoDBDocumentClient, TableName: string): Promise<void> {
  await patiently(async (options) => {
    const describe = new DescribeTimeToLiveCommand({ TableName });
    const { TimeToLiveDescription: ttl } = await client.send(describe, options);
    if (ttl?.TimeToLiveStatus === 'ENABLED' || ttl?.TimeToLiveStatus === 'ENABLING') return;
    const TimeToLiveSpecification = { Enabled: true, AttributeName: 'ttl' };
    await client.send(new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification }), options);
    // An engine without TTL works as well: expired events are hidden, but never deleted.
  })
    .catch(ignore('UnknownOperationException'))
    // Another instance was faster.
    .catch(ignore('ValidationException', /already enabled/));
}

/** Sends a request that may take long: the HTTP handler's own time-out is for requests that a client waits for. */
function patiently<T>(
  send: (options: { abortSignal: AbortSignal; requestTimeout: number }) => Promise<T>,
): Promise<T> {
  return withDeadline(
    ({ signal: abortSignal }) => send({ abortSignal, requestTimeout: REQUEST_MS }),
    REQUEST_MS,
  );
}

function ignore(name: string, message = /(?:)/) {
  return (error: unknown) => {
    if (!(error instanceof Error && error.name === name && message.test(error.message))) throw error;
  };
}
