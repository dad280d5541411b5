/** A DynamoDB store for tests and for what is measured without HTTP, and an engine under it. */
import { Server } from 'node:http';
import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import dynalite from 'dynalite';
import type { DynamoStoreOptions } from '../../src/store/dynamodb/dynamo-store.ts';
import type { StoreLog } from '../../src/store/store-log.ts';

/** What ends things when it ends itself: a test, or a measurement. */
export interface Scope {
  teardown(end: () => unknown): unknown;
}

// Emulators take any; a real one needs those of the environment.
process.env['AWS_ACCESS_KEY_ID'] ??= 'bench';
process.env['AWS_SECRET_ACCESS_KEY'] ??= 'bench';

/** An empty dynalite on a free port; the endpoint's URL. */
export async function startDynalite(scope: Scope): Promise<string> {
  const server = dynalite({ createTableMs: 0, deleteTableMs: 0 });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.teardown(() => {
    // Without dynalite's own `close`, which closes its data too: a request whose client has gone would then end the process.
    Server.prototype.close.call(server);
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

/** Of the store that services would use, with tables of its own. */
export function storeOptions(endpoint: string): DynamoStoreOptions {
  return {
    endpoint,
    region: 'us-east-1',
    tables: freshTables(),
    createTables: true,
    shards: 4,
    readShards: 4,
    now: () => Date.now() * 1000,
    eventTtl: 7 * 86_400e6,
    log: silentLog,
  };
}

/** Names that nobody else uses. */
export function freshTables(): DynamoStoreOptions['tables'] {
  const suffix = randomUUID();
  return { events: `events-${suffix}`, claims: `claims-${suffix}`, keys: `keys-${suffix}` };
}

export const silentLog: StoreLog = { info: () => undefined, warn: () => undefined, error: () => undefined };

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
