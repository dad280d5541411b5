/**
 * A worker process: `node roll-worker.ts <url>`. It tells each event that it has handled, before the event is acknowledged, as a
 * line of JSON on stdout, and ends with SIGTERM.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { Triggers } from '../../src/client/client.ts';

const [, , baseUrl = ''] = process.argv;
const { inbox } = new Triggers({ baseUrl, apiKey: LOCAL_KEY });

const consumer = inbox.consume(
  async ({ eventId, payload }, { attempt }) => {
    await sleep(Math.random() * 20);
    process.stdout.write(`${JSON.stringify({ eventId, n: payload['n'], attempt })}\n`);
  },
  {
    ...{ concurrency: 10, leaseSeconds: 10, backoff: () => 1 },
    onError: (error) => process.stderr.write(`${String(error)}\n`),
  },
);
process.once('SIGTERM', () => void consumer.stop({ drainMs: 5_000 }));
await consumer.ended;
