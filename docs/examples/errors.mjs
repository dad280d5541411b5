// What can go wrong with a call, and what to do about it: node errors.mjs
import { Triggers, TriggersError } from 'triggers-api-client';

const { TRIGGERS_URL = 'http://127.0.0.1:8080', TRIGGERS_API_KEY = 'test-api-key-12345' } = process.env;
const triggers = new Triggers({ baseUrl: TRIGGERS_URL, apiKey: TRIGGERS_API_KEY });

/**
 * @param {string} what
 * @param {() => Promise<unknown>} call
 */
async function attempt(what, call) {
  try {
    await call();
    console.log(`${what}: worked`);
  } catch (error) {
    // Anything else is a mistake in this program, or the reason of a signal.
    if (!(error instanceof TriggersError)) throw error;
    // The client has sent it again where there was sense in it: `retryable` says whether later may be better.
    console.log(
      `${what}: ${error.code}, ${error.retryable ? 'try later' : 'do not repeat'}: ${error.message}`,
    );
    // One line for each field of a request that was refused.
    for (const { field, message } of error.details ?? []) console.log(`  ${field} ${message}`);
    // For the operator: it names the request in the log of the service.
    if (error.requestId) console.error(`  request ${error.requestId}`);
  }
}

const event = { source: 'shop', eventType: 'order.paid', payload: { order: 7 } };
const { eventId } = await triggers.events.send(event);

await attempt('an empty source', () => triggers.events.send({ ...event, source: '' }));
await attempt('a first acknowledgement', () => triggers.events.ack(eventId));
await attempt('a second acknowledgement', () => triggers.events.ack(eventId));
await attempt('an event that is not there', () => triggers.events.get(crypto.randomUUID()));

const stranger = new Triggers({ baseUrl: TRIGGERS_URL, apiKey: 'not-a-key' });
await attempt('a wrong key', () => stranger.inbox.list().next());

const nowhere = new Triggers({ baseUrl: 'http://127.0.0.1:1', apiKey: 'any', maxRetries: 1 });
await attempt('nobody listens', () => nowhere.health());

// A signal ends a call early. It rejects with the signal's own reason, which is no TriggersError.
const reason = await triggers
  .health({ signal: AbortSignal.abort('not needed any more') })
  .catch((reason) => reason);
console.log(`an aborted call: ${reason}`);
