import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateTableCommand,
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  UpdateTimeToLiveCommand,
  type CreateTableCommandInput,
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

export const INBOX_INDEX = 'inbox-index';

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
      GlobalSecondaryIndexes: [
        {
          IndexName: INBOX_INDEX,
          KeySchema: [
            { AttributeName: 'inbox_shard', KeyType: 'HASH' },
            { AttributeName: 'inbox_position', KeyType: 'RANGE' },
          ],
          // Without payload and metadata, so that a 400 KB event costs the index one write unit.
          Projection: {
            ProjectionType: 'INCLUDE',
            NonKeyAttributes: ['source', 'event_type', 'payload_bytes', 'ttl'],
          },
        },
      ],
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
  const table = await describe(client, wanted);
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
  let table = await describe(client, wanted);
  const created = table === undefined;
  if (created) {
    await patiently((options) => client.send(new CreateTableCommand(wanted), options)).catch(
      ignore('ResourceInUseException'),
    );
    table = await describe(client, wanted);
  }
  while (table === undefined || !isActive(table)) {
    await sleep(POLL_MS, undefined, { signal });
    table = await describe(client, wanted);
  }
  checkShape(table, wanted);
  await enableTtl(client, String(wanted.TableName));
  return created;
}

async function describe(
  client: DynamoDBDocumentClient,
  { TableName }: CreateTableCommandInput,
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
  const indexes = table.GlobalSecondaryIndexes ?? [];
  return (
    // A table can be used while it is UPDATING (its TTL, its capacity).
    ['ACTIVE', 'UPDATING'].includes(table.TableStatus ?? '') &&
    // Engines that build indexes at once do not report their status.
    indexes.every(({ IndexStatus = 'ACTIVE' }) => ['ACTIVE', 'UPDATING'].includes(IndexStatus))
  );
}

function checkShape(table: TableDescription, wanted: CreateTableCommandInput): void {
  const name = String(wanted.TableName);
  if (shape(table.KeySchema) !== shape(wanted.KeySchema)) {
    throw new StoreUnavailableError(
      `table ${name} has the key ${shape(table.KeySchema)} instead of ${shape(wanted.KeySchema)}`,
    );
  }
  for (const { IndexName, KeySchema, Projection } of wanted.GlobalSecondaryIndexes ?? []) {
    const index = table.GlobalSecondaryIndexes?.find((index) => index.IndexName === IndexName);
    const projected = index?.Projection?.NonKeyAttributes ?? [];
    const complete =
      index?.Projection?.ProjectionType === 'ALL' ||
      Projection?.NonKeyAttributes?.every((attribute) => projected.includes(attribute));
    if (shape(index?.KeySchema) !== shape(KeySchema) || !complete) {
      throw new StoreUnavailableError(
        `table ${name} lacks the index ${String(IndexName)}, or it has another shape`,
      );
    }
  }
}

function shape(keys: TableDescription['KeySchema'] = []): string {
  return keys.map(({ AttributeName, KeyType }) => `${String(AttributeName)} (${String(KeyType)})`).join(', ');
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
