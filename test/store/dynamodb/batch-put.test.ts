import { marshall } from '@aws-sdk/util-dynamodb';
import t from 'tap';
import { batchPutBody } from '../../../src/store/dynamodb/batch-put.ts';
import { toItem, type EventItem } from '../../../src/store/dynamodb/event-item.ts';
import type { StoredEvent } from '../../../src/store/event.ts';

const TABLE = 'triggers-events';
const OPTIONS = { shards: 4, eventTtl: 604_800_000_000 };

const plain: StoredEvent = {
  id: '2f1c3c0e-9d7e-4a51-8f1e-6a8c3c7f9b10',
  tenant: 'acme',
  source: 'billing',
  type: 'invoice.paid',
  payload: '{"n":1}',
  metadata: null,
  createdAt: 1_763_000_000_123_456,
  acknowledgedAt: null,
};
const awkward: StoredEvent = {
  ...plain,
  source: 'a "quoted" \\ name\u0001\u2028 \u{1F600} ü',
  payload: '{"k":"\\u0000 \\"x\\" ü \u{1F600}"}',
  metadata: '{"a":["b",null]}',
};
const packed = { data: new Uint8Array([9, 0, 255, 128, 7, 9]).subarray(1, 5), encoding: 'deflate' } as const;

const items: EventItem[] = [
  toItem(plain, plain.payload, 7, OPTIONS),
  toItem({ ...plain, source: null }, plain.payload, 7, OPTIONS),
  toItem(awkward, awkward.payload, 30, OPTIONS),
  toItem(plain, packed, 100_000, OPTIONS),
  toItem({ ...plain, acknowledgedAt: plain.createdAt + 1 }, plain.payload, 7, OPTIONS),
  { ...toItem(plain, plain.payload, 7, OPTIONS), metadata: undefined } as unknown as EventItem,
];

void t.test('a body holds what the SDK would make of the items', (t) => {
  const puts = items.map((item) => ({
    PutRequest: { Item: marshall(item, { removeUndefinedValues: true }) },
  }));
  const base64 = (_: string, value: unknown): unknown =>
    value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
  t.strictSame(
    JSON.parse(batchPutBody(TABLE, items)),
    JSON.parse(JSON.stringify({ RequestItems: { [TABLE]: puts } }, base64)),
  );
  t.equal(
    (JSON.parse(batchPutBody(TABLE, items, true)) as Record<string, unknown>)['ReturnConsumedCapacity'],
    'TOTAL',
  );
  t.match(batchPutBody(TABLE, items.slice(3, 4)), '"B":"AP+ABw=="', 'bytes of the view, not of its buffer');
  t.end();
});
