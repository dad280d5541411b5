// Handles the events of an inbox, one after the other, until SIGTERM or Ctrl-C. Restarts of the service do not end it.
// Run one worker for each inbox, or give each an event type of its own: node worker.mjs [event type]
import { setTimeout as sleep } from 'node:timers/promises';
import { Triggers, TriggersError } from 'triggers-api-client';

const { TRIGGERS_URL = 'http://127.0.0.1:8080', TRIGGERS_API_KEY = 'test-api-key-12345' } = process.env;
const { events, inbox } = new Triggers({ baseUrl: TRIGGERS_URL, apiKey: TRIGGERS_API_KEY });
const eventType = process.argv[2];

const IDLE_MS = 1_000;
const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => stop.abort());

/**
 * Put your work here. An event can come again: after a crash between here and its acknowledgement, for example. So make
 * this repeatable. An event for which this throws stays in the inbox and comes again.
 *
 * @param {import('triggers-api-client').TriggersEvent} event
 */
async function handle(event) {
  console.log('handled', event.eventId, JSON.stringify(event.payload));
}

/** @returns {Promise<boolean>} whether an event was handled. */
async function walk() {
  let worked = false;
  for await (const event of inbox.list({ eventType, signal: stop.signal })) {
    try {
      await handle(event);
    } catch (error) {
      console.error('left in the inbox:', event.eventId, error);
      continue;
    }
    // Without the signal: what has been handled is acknowledged, also on the way out.
    await acknowledge(event.eventId);
    worked = true;
    if (stop.signal.aborted) break;
  }
  return worked;
}

/** @param {string} eventId */
async function acknowledge(eventId) {
  try {
    await events.ack(eventId);
  } catch (error) {
    // CONFLICT: somebody else acknowledged it. NOT_FOUND: it was deleted, or has expired. In both cases it is done.
    if (!(error instanceof TriggersError && ['CONFLICT', 'NOT_FOUND'].includes(error.code))) throw error;
  }
}

while (!stop.signal.aborted) {
  try {
    if (await walk()) continue;
  } catch (error) {
    if (stop.signal.aborted) break;
    // The client has tried several times already. A wrong key does not become right: only what can pass is waited for.
    if (!(error instanceof TriggersError && error.retryable)) throw error;
    console.error('waiting for the service:', error.message);
  }
  await sleep(IDLE_MS, undefined, { signal: stop.signal }).catch(() => undefined);
}
console.log('stopped');
