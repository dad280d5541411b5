// Handles the events of an inbox, several at once, until SIGTERM or Ctrl-C. Any number of these may run on one inbox, and
// restarts of the service do not end them: node consume.mjs [event type]
import { Reject, Triggers } from 'triggers-api-client';

const { TRIGGERS_URL = 'http://127.0.0.1:8080', TRIGGERS_API_KEY = 'test-api-key-12345' } = process.env;
const { inbox } = new Triggers({ baseUrl: TRIGGERS_URL, apiKey: TRIGGERS_API_KEY });
const eventType = process.argv[2];

/**
 * Put your work here. Returning acknowledges the event. An event for which this throws comes again later, and an event can
 * come again after a crash: so make this repeatable. Pass the signal on to what takes long.
 *
 * @param {import('triggers-api-client').LeasedEvent} event
 * @param {import('triggers-api-client').HandlerContext} context
 */
async function handle(event, { attempt, signal }) {
  if (event.payload['poison'] === true) throw new Reject('nobody can handle this');
  signal.throwIfAborted();
  console.log('handled', event.eventId, JSON.stringify(event.payload), 'attempt', attempt);
}

const consumer = inbox.consume(handle, {
  ...{ eventType, concurrency: 10, leaseSeconds: 60 },
  onError: (error, event) => console.error(event?.eventId ?? 'waiting for the service', String(error)),
});
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => consumer.stop({ drainMs: 10_000 }));

await consumer.ended;
console.log('stopped');
