/**
 * A process of its own that appends to an embedded store until that fails, for tests that limit what it may write.
 * Each line it prints: `stored <id>` once the append has resolved, then how the end was.
 */
import { randomUUID } from 'node:crypto';
import { writeSync } from 'node:fs';
import { openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import { quietLog } from './quiet-log.ts';

const [path = ''] = process.argv.slice(2);
const say = (text: string) => writeSync(1, `${text}\n`);
process.on('unhandledRejection', (error) => say(`unhandled ${String(error)}`));

let time = Date.now() * 1000;
const store = await openEmbeddedStore({
  path,
  now: () => time,
  eventTtl: 1e12,
  sweepSeconds: 0,
  log: {
    ...quietLog,
    error: (_, message) => say(`log ${message}`),
    warn: (_, message) => say(`log ${message}`),
  },
  onFatal: (error) => say(`fatal ${error.message}`),
});

const event = () => ({
  id: randomUUID(),
  tenant: 'acme',
  source: 'shop',
  type: 'order.created',
  payload: `{"k":"${'x'.repeat(2_000)}"}`,
  metadata: null,
  createdAt: ++time,
  acknowledgedAt: null,
});
const nameOf = (error: unknown) => (error instanceof Error ? error.name : String(error));

/** Appends one after the other until one is rejected. */
async function produce(): Promise<string> {
  for (;;) {
    const one = event();
    try {
      await store.append(one);
    } catch (error) {
      return nameOf(error);
    }
    say(`stored ${one.id}`);
  }
}

const ends = await Promise.all(Array.from({ length: 20 }, produce));
say(`ends ${[...new Set(ends)].join()}`);
say(`later ${await store.append(event()).then(() => 'resolved', nameOf)}`);
say(`ping ${await store.ping().then(() => 'resolved', nameOf)}`);
await store.close();
say('closed');
