// Sends many events with a bounded number of requests under way: node concurrency.mjs [events] [at once]
import { Triggers } from 'triggers-api-client';

const { TRIGGERS_URL = 'http://127.0.0.1:8080', TRIGGERS_API_KEY = 'test-api-key-12345' } = process.env;
const { events } = new Triggers({ baseUrl: TRIGGERS_URL, apiKey: TRIGGERS_API_KEY });

const count = Number(process.argv[2] ?? '1000');
const atOnce = Number(process.argv[3] ?? '16');

/** Made as they are needed: a generator holds none of what comes later in memory. */
function* orders() {
  for (let order = 1; order <= count; order++) yield { order };
}

/**
 * Runs a task for each item, so many at once. The first failure ends it, once the tasks under way have ended.
 *
 * @template Item
 * @param {Iterable<Item>} items
 * @param {number} limit
 * @param {(item: Item) => Promise<unknown>} task
 */
async function forEachBounded(items, limit, task) {
  const iterator = items[Symbol.iterator]();
  /** @type {unknown[]} */
  const failures = [];
  // Every lane takes the next item when it is done with its last one.
  const lane = async () => {
    for (let next = iterator.next(); !next.done && failures.length === 0; next = iterator.next()) {
      await task(next.value).catch((error) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: limit }, lane));
  if (failures.length > 0) throw failures[0];
}

let sent = 0;
await forEachBounded(orders(), atOnce, async (payload) => {
  await events.send(
    { source: 'shop', eventType: 'order.paid', payload },
    { idempotencyKey: `import-2026-${payload.order}` },
  );
  sent++;
});
console.log(`${sent} events sent, ${atOnce} at once`);
