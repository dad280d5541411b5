import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, PutCommand } from '@aws-sdk/lib-dynamodb';
import t from 'tap';
import { freshTables, eventually } from '../../bench/harness/dynamodb.ts';
import { localEndpoint, newEvent, openStore } from '../support/dynamodb.ts';
import { noise } from '../support/noise.ts';

const MAX_PAYLOAD = 409_600;
const MAX_METADATA = 8_192;

/** Each as large as the API takes it, and hard to compress in its own way. */
const payloads: Record<string, string> = {
  'all bytes of UTF-8 alike': noise(MAX_PAYLOAD, 1),
  'all bytes of UTF-8 alike, once more': noise(MAX_PAYLOAD, 2),
  'printable ASCII': textOf(
    () => String.fromCharCode(35 + random(57)) + String.fromCharCode(93 + random(34)),
  ),
  'two bytes each': textOf(() => String.fromCodePoint(0x80 + random(0x780))),
  'four bytes each': textOf(() => String.fromCodePoint(0x10000 + random(0x100000))),
};

void t.test('this engine holds 409,600 bytes in an item, names included, like the service', async (t) => {
  const tables = freshTables();
  const store = await openStore(t, localEndpoint(), { tables });
  await eventually(() => store.ping());
  const client = new DynamoDBClient({ endpoint: localEndpoint(), region: 'us-east-1' });
  t.teardown(() => {
    client.destroy();
  });
  const document = DynamoDBDocumentClient.from(client);
  const put = (bytes: number) =>
    document.send(
      new PutCommand({ TableName: tables.events, Item: { event_id: 'a', payload: 'x'.repeat(bytes) } }),
    );
  await put(MAX_PAYLOAD - 'event_id'.length - 'a'.length - 'payload'.length);
  await t.rejects(put(MAX_PAYLOAD), { name: 'ValidationException' });
});

for (const [name, payload] of Object.entries(payloads)) {
  void t.test(`the largest event there can be: ${name}`, async (t) => {
    t.equal(Buffer.byteLength(payload), MAX_PAYLOAD);
    t.ok(JSON.parse(payload));
    const store = await openStore(t, localEndpoint());
    await eventually(() => store.ping());
    const event = newEvent({
      tenant: 't'.repeat(64),
      source: '😀'.repeat(255),
      type: '🏳'.repeat(255),
      metadata: noise(MAX_METADATA, 3),
      payload,
    });
    // A claimed event's record is the larger one.
    const digest = 'f'.repeat(64);
    const claim = { key: digest, fingerprint: digest, expiresAt: event.createdAt + 1e6 };
    await store.append(event, claim);
    t.strictSame(await store.get(event.tenant, event.id), event);
    const page = await store.listPending(event.tenant, { limit: 5, after: null });
    t.strictSame(page.events, [event]);
    const at = event.createdAt + 1;
    t.strictSame(await store.acknowledge(event.tenant, event.id, at), {
      outcome: 'acknowledged',
      acknowledgedAt: at,
    });
    t.strictSame(await store.acknowledge(event.tenant, event.id, at + 1), {
      outcome: 'already',
      acknowledgedAt: at,
    });
    t.strictSame(await store.get(event.tenant, event.id), { ...event, acknowledgedAt: at });
    t.equal(await store.remove(event.tenant, event.id), true);
  });
}

/** As many of the pieces as fit, and `x` for the bytes that are left. */
function textOf(piece: () => string): string {
  const size = Buffer.byteLength(piece());
  const room = MAX_PAYLOAD - '{"k":""}'.length;
  const pieces = Array.from({ length: Math.floor(room / size) }, () => {
    const text = piece();
    return Buffer.byteLength(text) === size && !text.includes('\\') ? text : 'x'.repeat(size);
  });
  return `{"k":"${pieces.join('')}${'x'.repeat(room % size)}"}`;
}

function random(below: number): number {
  return Math.floor(Math.random() * below);
}
