import type { Test } from 'tap';
import { silentLog, storeOptions } from '../../bench/harness/dynamodb.ts';
import { sampleEvent } from '../../bench/harness/event.ts';
import type { StoredEvent } from '../../src/store/event.ts';
import type { StoreLog } from '../../src/store/store-log.ts';
import {
  openDynamoStore,
  type DynamoStore,
  type DynamoStoreOptions,
} from '../../src/store/dynamodb/dynamo-store.ts';

/** For tests of what the store does, not of how it gives up: an emulator shares two cores with the tests. */
export const PATIENT_MS = 20_000;

export const DAY = 86_400 * 1e6;

// Emulators take any; found in the environment, nothing else is looked for.
process.env['AWS_ACCESS_KEY_ID'] = 'test';
process.env['AWS_SECRET_ACCESS_KEY'] = 'test';

/** The store that services would use, with tables of its own. Closed when the test is over. */
export async function openStore(
  t: Test,
  endpoint: string,
  options: Partial<DynamoStoreOptions> = {},
): Promise<DynamoStore> {
  const store = await openDynamoStore({
    ...storeOptions(endpoint),
    // Of `newEvent`.
    upcoming: options.now ?? (() => lastTime),
    ...options,
  });
  t.teardown(() => store.close());
  return store;
}

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

/** The DynamoDB Local that `npm run test:dynamodb` has started or was given. */
export function localEndpoint(): string {
  const endpoint = process.env['DYNAMODB_ENDPOINT_URL'];
  if (!endpoint) throw new Error('DYNAMODB_ENDPOINT_URL is not set: run `npm run test:dynamodb`');
  return endpoint;
}
