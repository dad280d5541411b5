// Sends one event, and sends it again, which is harmless: node send.mjs [order]
import { Triggers } from 'triggers-api-client';

const { TRIGGERS_URL = 'http://127.0.0.1:8080', TRIGGERS_API_KEY = 'test-api-key-12345' } = process.env;
const triggers = new Triggers({ baseUrl: TRIGGERS_URL, apiKey: TRIGGERS_API_KEY });

const order = Number(process.argv[2] ?? '7');
const event = { source: 'shop', eventType: 'order.paid', payload: { order, total: 19.9 } };

// From our own data: if this program dies and starts again, the event is still stored once.
const idempotencyKey = `order-${order}-paid`;

for (let time = 1; time <= 2; time++) {
  const { eventId, createdAt, replayed } = await triggers.events.send(event, { idempotencyKey });
  console.log(replayed ? 'was there:' : 'stored:', eventId, createdAt);
}
