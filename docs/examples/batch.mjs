// Sends a list of events in few calls, and acknowledges them all: node batch.mjs [events]
import { Triggers } from 'triggers-api-client';

const { TRIGGERS_URL = 'http://127.0.0.1:8080', TRIGGERS_API_KEY = 'test-api-key-12345' } = process.env;
const { events } = new Triggers({ baseUrl: TRIGGERS_URL, apiKey: TRIGGERS_API_KEY });

const count = Number(process.argv[2] ?? '1000');
const orders = Array.from({ length: count }, (_, index) => ({
  source: 'shop',
  eventType: 'order.paid',
  payload: { order: index + 1 },
}));

// From our own data: if this program dies and sends the same list again, each event is still stored once.
const sent = await events.sendBatch(orders, { idempotencyKey: 'orders-of-2026-01-31' });
console.log(sent.summary);

// It resolves also where some are not stored.
for (const { index, outcome, error } of sent.results) {
  if (error)
    console.error(`order ${orders[index]?.payload.order}: ${outcome}, ${error.code}: ${error.message}`);
}

const acknowledged = await events.ackMany(sent.results.flatMap(({ eventId }) => eventId ?? []));
console.log(acknowledged.summary);
