import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';

/** Makes an events table as versions without leases did. */
export async function createOldEventsTable(endpoint: string, TableName: string): Promise<void> {
  const client = new DynamoDBClient({ endpoint, region: 'us-east-1' });
  await client.send(
    new CreateTableCommand({
      TableName,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: ['event_id', 'inbox_shard', 'inbox_position'].map((AttributeName) => ({
        AttributeName,
        AttributeType: 'S',
      })),
      KeySchema: [{ AttributeName: 'event_id', KeyType: 'HASH' }],
      GlobalSecondaryIndexes: [
        {
          IndexName: 'inbox-index',
          KeySchema: [
            { AttributeName: 'inbox_shard', KeyType: 'HASH' },
            { AttributeName: 'inbox_position', KeyType: 'RANGE' },
          ],
          Projection: {
            ProjectionType: 'INCLUDE',
            NonKeyAttributes: ['source', 'event_type', 'payload_bytes', 'ttl'],
          },
        },
      ],
    }),
  );
  client.destroy();
}
