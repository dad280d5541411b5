import { PutCommand, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import t from 'tap';
import type { Micros, StoredEvent } from '../../../src/store/event.ts';
import { appendClaimed } from '../../../src/store/dynamodb/claimed-append.ts';
import { positionOf } from '../../../src/store/dynamodb/event-item.ts';
import { openTable } from '../../../src/store/dynamodb/table.ts';
import { endless } from '../../support/deadline.ts';
import { newEvent } from '../../support/dynamodb.ts';
import { createMemoryTables, type Command } from '../../support/memory-tables.ts';

const HOUR = 3_600e6;
const WEEK = 7 * 24 * HOUR;

void t.test('an event that is completed late is listed as of then, ahead of walks under way', async (t) => {
  for (const [name, after, eventTtl, isLate] of [
    ['while its first writer may be at it', 2e6, WEEK, false],
    ['as soon as its first writer has given up', 2e6 + 1, WEEK, true],
    ['days later', 2 * 24 * HOUR, WEEK, true],
    ['a thousandth of a short life', 1e3, 1e6, false],
    ['more than that', 1e3 + 1, 1e6, true],
  ] as const) {
    const { first, item, completedAt } = await completed(after, eventTtl);
    t.match(item, { created_at: first.createdAt, kept_from: isLate ? completedAt : undefined }, name);
    t.equal(item?.['inbox_position'], positionOf(isLate ? completedAt : first.createdAt, first.id), name);
    t.ok(Number(item?.['ttl']) * 1e6 >= (isLate ? completedAt : first.createdAt) + eventTtl, name);
  }
});

/** The record of an event whose writer died after its claim, and which another writer completed. */
async function completed(after: Micros, eventTtl: Micros) {
  const tables = createMemoryTables({ events: 'event_id', claims: 'claim_key' }, true);
  let alive = false;
  const send = (command: Command) => {
    const isLost = command instanceof PutCommand && command.input.TableName === 'events' && !alive;
    // Like a refusal of DynamoDB, which is not retried.
    const refused = Object.assign(new Error('dies here'), { $metadata: { httpStatusCode: 400 } });
    return isLost ? Promise.reject(refused) : Promise.resolve(tables.carryOut(command));
  };
  const client = { send } as unknown as DynamoDBDocumentClient;
  const first = newEvent();
  let time = first.createdAt;
  const append = (event: StoredEvent) =>
    appendClaimed(
      {
        claims: openTable(client, 'claims'),
        events: openTable(client, 'events'),
        now: () => time,
        shards: 1,
        eventTtl,
      },
      { event, payload: event.payload, payloadBytes: Buffer.byteLength(event.payload) },
      { key: 'k', fingerprint: 'f', expiresAt: first.createdAt + WEEK },
      endless(),
    );
  await t.rejects(append(first), { message: 'dies here' });
  alive = true;
  time += after;
  const { id, createdAt } = first;
  t.same(await append(newEvent()), { outcome: 'duplicate', id, createdAt });
  return { first, item: tables.items.get('events')?.get(id), completedAt: time };
}
