import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import dynalite from 'dynalite';
import type { StoredEvent } from '../../src/store/event.ts';
import type { StoreLog } from '../../src/store/store-log.ts';
import {
  openDynamoStore,
  type DynamoStore,
  type DynamoStoreOptions,
} from '../../src/store/dynamodb/dynamo-store.ts';
import { sampleEvent } from './event.ts';

/** For tests of what the store does, not of how it gives up: an emulator shares two cores with the tests. */
export const PATIENT_MS = 20_000;

export const DAY = 86_400 * 1e6;

// Emulators take any; found in the environment, nothing else is looked for.
process.env['AWS_ACCESS_KEY_ID'] = 'test';
process.env['AWS_SECRET_ACCESS_KEY'] = 'test';

/** An empty dynalite on a free port; the endpoint's URL. */
export async function startDynalite(t: Test): Promise<string> {
  const server = dynalite({ createTableMs: 0, deleteTableMs: 0 });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

/** The store that services would use, with tables of its own. Closed when the test is over. */
export async function openStore(
  t: Test,
  endpoint: string,
  options: Partial<DynamoStoreOptions> = {},
): Promise<DynamoStore> {
  const store = await openDynamoStore({
    endpoint,
    region: 'us-east-1',
    tables: freshTables(),
    createTables: true,
    shards: 4,
    readShards: 4,
    now: () => Date.now() * 1000,
    // Of `newEvent`.
    upcoming: options.now ?? (() => lastTime),
    eventTtl: 7 * DAY,
    log: silentLog,
    ...options,
  });
  t.teardown(() => store.close());
  return store;
}

/** Names that no other test uses. */
export function freshTables(): DynamoStoreOptions['tables'] {
  const suffix = randomUUID();
  return { events: `events-${suffix}`, claims: `claims-${suffix}`, keys: `keys-${suffix}` };
}

export const silentLog: StoreLog = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** Keeps what is logged as errors. */
export function recordingLog(): StoreLog & { readonly errors: { fields: object; message: string }[] } {
  const errors: { fields: object; message: string }[] = [];
  return { ...silentLog, errors, error: (fields, message) => errors.push({ fields, message }) };
}

let lastTime = Date.now() * 1000;

/** An event unlike any other, a microsecond younger than the one before. */
export function newEvent(fields: Partial<StoredEvent> = {}): StoredEvent {
  return sampleEvent((lastTime += 1), fields);
}

/** Tries until it does not reject, for 15 s at most. */
export async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (tries === 300) throw error;
      await sleep(50);
    }
  }
}

/** The DynamoDB Local that `npm run test:dynamodb` has started or was given. */
export function localEndpoint(): string {
  const endpoint = process.env['DYNAMODB_ENDPOINT_URL'];
  if (!endpoint) throw new Error('DYNAMODB_ENDPOINT_URL is not set: run `npm run test:dynamodb`');
  return endpoint;
}
