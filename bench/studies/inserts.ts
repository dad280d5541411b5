/**
 * `npm run bench -- inserts [--batches 400] [--rounds 5]`: what it costs to put events in batches with a condition. BatchWriteItem
 * puts 25 items without conditions; BatchExecuteStatement takes 25 `INSERT`s in PartiQL, and each refuses what exists. Both go to
 * the DynamoDB at `DYNAMODB_ENDPOINT_URL`, or to a DynamoDB Local that is started here: capacity units as the answers report them,
 * items a second of 8 senders in a closed loop, in turns, and what an `INSERT` says of an item that exists.
 */
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import {
  BatchExecuteStatementCommand,
  BatchWriteItemCommand,
  DynamoDBClient,
  ExecuteStatementCommand,
  type AttributeValue,
  type ConsumedCapacity,
} from '@aws-sdk/client-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import { startDynamoDbLocal } from '../../src/cli/dynamodb-local.ts';
import { toItem } from '../../src/store/dynamodb/event-item.ts';
import { openDynamoStore } from '../../src/store/dynamodb/dynamo-store.ts';
import { positive } from '../harness/arguments.ts';
import { eventually, storeOptions } from '../harness/dynamodb.ts';
import { sampleEvent } from '../harness/event.ts';
import { introduction } from '../harness/machine.ts';

const BATCH = 25;
const SENDERS = 8;
const PAYLOAD_BYTES = 1_000;

type Item = Readonly<Record<string, AttributeValue>>;

export async function inserts(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { batches: { type: 'string', default: '400' }, rounds: { type: 'string', default: '5' } },
  });
  const batches = positive('batches', values.batches);
  const rounds = positive('rounds', values.rounds);
  const given = process.env['DYNAMODB_ENDPOINT_URL'];
  console.error(`${introduction()}; DynamoDB: ${given ?? 'DynamoDB Local'}`);
  const local = given === undefined ? await startDynamoDbLocal() : undefined;
  try {
    await measureOn(given ?? local?.endpoint ?? '', batches, rounds);
  } finally {
    await local?.stop();
  }
  return 0;
}

async function measureOn(endpoint: string, batches: number, rounds: number): Promise<void> {
  const options = storeOptions(endpoint);
  // It makes the tables.
  const store = await openDynamoStore(options);
  await eventually(() => store.ping());
  await store.close();
  const client = new DynamoDBClient({ endpoint, region: options.region, maxAttempts: 1 });
  const ways = { BatchWriteItem: putAll, INSERT: insertAll };
  for (const [name, send] of Object.entries(ways)) {
    const items = newItems();
    console.log(`${name}: ${unitsText((await send(client, options.tables.events, items)).consumed)}`);
    const again = await send(client, options.tables.events, items);
    console.log(`${name}, all of them there already: ${unitsText(again.consumed)}${again.said}`);
  }
  // Alone, because DynamoDB Local reports no units for a batch of statements.
  const [item] = newItems();
  if (item !== undefined) {
    const alone = await client.send(
      new ExecuteStatementCommand({
        ...insertOf(options.tables.events, item),
        ReturnConsumedCapacity: 'INDEXES',
      }),
    );
    console.log(`one INSERT alone: ${unitsText(alone.ConsumedCapacity && [alone.ConsumedCapacity])}`);
  }
  for (let round = 0; round <= rounds; round++) {
    for (const [name, send] of Object.entries(ways)) {
      const rate = await rateOf(batches, () => send(client, options.tables.events, newItems()));
      // The first round warms the engine up.
      if (round > 0) console.log(`round ${String(round)}, ${name}: ${rate.toFixed(0)} items/s`);
    }
  }
  client.destroy();
}

async function rateOf(batches: number, send: () => Promise<unknown>): Promise<number> {
  let begun = 0;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: SENDERS }, async () => {
      while (begun < batches) {
        begun += 1;
        await send();
      }
    }),
  );
  return (batches * BATCH) / ((performance.now() - started) / 1000);
}

interface Sent {
  readonly consumed: readonly ConsumedCapacity[] | undefined;
  /** What the answer says of the items. */
  readonly said: string;
}

async function putAll(client: DynamoDBClient, table: string, items: readonly Item[]): Promise<Sent> {
  const { ConsumedCapacity: consumed, UnprocessedItems: unprocessed = {} } = await client.send(
    new BatchWriteItemCommand({
      RequestItems: { [table]: items.map((Item) => ({ PutRequest: { Item } })) },
      ReturnConsumedCapacity: 'INDEXES',
    }),
  );
  if (Object.keys(unprocessed).length > 0) throw new Error('the engine does not take all');
  return { consumed, said: '' };
}

async function insertAll(client: DynamoDBClient, table: string, items: readonly Item[]): Promise<Sent> {
  const { ConsumedCapacity: consumed, Responses: answers = [] } = await client.send(
    new BatchExecuteStatementCommand({
      Statements: items.map((item) => insertOf(table, item)),
      ReturnConsumedCapacity: 'INDEXES',
    }),
  );
  const counts = new Map<string, number>();
  for (const { Error: error } of answers) {
    const code = error?.Code ?? 'stored';
    counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  return { consumed, said: `; ${JSON.stringify(Object.fromEntries(counts))}` };
}

function insertOf(table: string, item: Item) {
  const attributes = Object.keys(item).map((name) => `'${name}': ?`);
  return {
    Statement: `INSERT INTO "${table}" VALUE {${attributes.join(', ')}}`,
    Parameters: Object.values(item),
  };
}

function unitsText(consumed: readonly ConsumedCapacity[] | undefined): string {
  if (consumed === undefined) return 'no units reported';
  return `units reported: ${JSON.stringify(consumed)}`;
}

function newItems(): readonly Item[] {
  return Array.from({ length: BATCH }, () => {
    const payload = `{"note":"${'n'.repeat(PAYLOAD_BYTES - 11)}"}`;
    const event = { ...sampleEvent(Date.now() * 1000, { payload }), id: randomUUID() };
    return marshall(toItem(event, payload, PAYLOAD_BYTES, { shards: 4, eventTtl: 7 * 86_400e6 }));
  });
}
