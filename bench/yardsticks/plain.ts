/**
 * How this service is usually built: Fastify, bcrypt on each request, one PutItem per event into a table with an inbox
 * index. `--no-bcrypt` leaves the hash out. It has it easier than the service in that it writes no log, looks its keys up
 * in memory and answers with nothing but the id.
 *
 * Environment: DYNAMODB_ENDPOINT_URL, TABLE (made here), API_KEY.
 */
import { CreateTableCommand, DynamoDBClient, waitUntilTableExists } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, PutCommand } from '@aws-sdk/lib-dynamodb';
import { hash, verify } from '@node-rs/bcrypt';
import Fastify from 'fastify';
import { randomUUID } from 'node:crypto';

/** What bcrypt's documentation proposes. */
const BCRYPT_COST = 10;

const { DYNAMODB_ENDPOINT_URL: endpoint = '', TABLE: table = '', API_KEY: apiKey = '' } = process.env;
const withBcrypt = !process.argv.includes('--no-bcrypt');
const keyHash = await hash(apiKey, BCRYPT_COST);

const client = new DynamoDBClient({ endpoint, region: 'us-east-1', maxAttempts: 3 });
await createTable();
const documents = DynamoDBDocumentClient.from(client);

const app = Fastify();

app.addHook('onRequest', async (request, reply) => {
  const presented = String(request.headers['x-api-key']);
  const known = withBcrypt ? await verify(presented, keyHash) : presented === apiKey;
  if (!known) await reply.code(401).send({ error: 'unknown API key' });
});

interface Body {
  readonly source: string;
  readonly event_type: string;
  readonly payload: object;
}

const name = { type: 'string', minLength: 1, maxLength: 255 };
const body = {
  type: 'object',
  required: ['source', 'event_type', 'payload'],
  properties: { source: name, event_type: name, payload: { type: 'object' } },
};

app.post<{ Body: Body }>('/v1/events', { schema: { body } }, async (request, reply) => {
  const { source, event_type, payload } = request.body;
  const event_id = randomUUID();
  const created_at = new Date().toISOString();
  const Item = { event_id, inbox: 'tenant#pending', source, event_type, payload, created_at };
  await documents.send(new PutCommand({ TableName: table, Item }));
  return reply.code(201).send({ event_id });
});

console.log(JSON.stringify({ msg: 'listening', url: await app.listen({ host: '127.0.0.1', port: 0 }) }));

async function createTable(): Promise<void> {
  await client.send(
    new CreateTableCommand({
      TableName: table,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: ['event_id', 'inbox', 'created_at'].map((AttributeName) => ({
        AttributeName,
        AttributeType: 'S',
      })),
      KeySchema: [{ AttributeName: 'event_id', KeyType: 'HASH' }],
      GlobalSecondaryIndexes: [
        {
          IndexName: 'inbox-index',
          KeySchema: [
            { AttributeName: 'inbox', KeyType: 'HASH' },
            { AttributeName: 'created_at', KeyType: 'RANGE' },
          ],
          Projection: { ProjectionType: 'ALL' },
        },
      ],
    }),
  );
  await waitUntilTableExists({ client, maxWaitTime: 30 }, { TableName: table });
}
