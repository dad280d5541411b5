import { DeleteTableCommand, DynamoDBClient, ResourceNotFoundException } from '@aws-sdk/client-dynamodb';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatKey, generateKey } from '../../src/access/key-format.ts';
import { hashSecret } from '../../src/access/secret-hash.ts';
import { readConfig } from '../../src/config.ts';
import { openStore } from '../../src/store/open-store.ts';
import type { Target } from '../load/job.ts';
import { freshTables } from './dynamodb.ts';
import { LOADER, startServer } from './process.ts';

/** Where the service under measurement keeps its events. */
export type StoreName = 'embedded' | 'dynamodb';

/** A service with an empty inbox and a key whose rate limit is never reached. */
export interface Service extends Target {
  /** More keys of the same tenant, never used. */
  readonly moreKeys: readonly string[];
  stop(): Promise<void>;
}

/** A DynamoDB for one run: its endpoint, and what it is called in a table. */
export interface Emulator {
  readonly endpoint: string;
  readonly name: 'dynalite' | 'dynamodb';
  /** Of one that was started here. */
  readonly pid: number | null;
  stop(): Promise<void>;
}

/** Of a process: arguments of its Node, and what its environment has besides. */
export interface StartOptions {
  readonly nodeArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A fresh dynalite, or the DynamoDB at `DYNAMODB_ENDPOINT_URL`. */
export async function startEmulator({ nodeArgs = [], env = {} }: StartOptions = {}): Promise<Emulator> {
  const given = process.env['DYNAMODB_ENDPOINT_URL'];
  if (given) return { endpoint: given, name: 'dynamodb', pid: null, stop: () => Promise.resolve() };
  const server = await startServer([...nodeArgs, LOADER, 'bench/harness/dynalite.ts'], { place: 'any', env });
  return { endpoint: server.url, name: 'dynalite', pid: server.pid, stop: () => server.stop() };
}

/** Builds `dist/`, of this checkout or of another. */
export function buildService(checkout = '.'): void {
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: checkout, stdio: ['ignore', 2, 'inherit'] });
}

export interface ServiceOptions extends StartOptions {
  readonly moreKeys?: number;
  /** Of another build. */
  readonly script?: string;
}

/** The service as it is deployed: built, with API keys and a log line for each request. */
export async function startService(
  emulator: Emulator | null,
  { moreKeys = 0, nodeArgs = [], script = 'dist/main.js', env: more = {} }: ServiceOptions = {},
): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'));
  const env = {
    PORT: '0',
    AUTH_MODE: 'keys',
    NODE_ENV: 'production',
    SHUTDOWN_GRACE_SECONDS: '2',
    ...(emulator ? dynamoEnvironment(emulator.endpoint) : { STORE: 'embedded', DATA_DIR: folder }),
    ...more,
  };
  const keys = await createKeys(env, 1 + moreKeys);
  const server = await startServer([...nodeArgs, script], {
    place: emulator ? 'any' : 'server',
    env,
  });
  return {
    url: server.url,
    pid: server.pid,
    key: keys[0] ?? '',
    moreKeys: keys.slice(1),
    async stop() {
      await server.stop();
      rmSync(folder, { recursive: true });
      if (emulator) await deleteTables(env);
    },
  };
}

function dynamoEnvironment(endpoint: string): Record<string, string> {
  const tables = freshTables();
  return {
    STORE: 'dynamodb',
    DYNAMODB_ENDPOINT_URL: endpoint,
    DYNAMODB_CREATE_TABLES: 'true',
    EVENTS_TABLE: tables.events,
    CLAIMS_TABLE: tables.claims,
    API_KEYS_TABLE: tables.keys,
  };
}

/** Requests a minute. */
const UNREACHED_LIMIT = 999_999_999;

/** Keys of one tenant. */
async function createKeys(env: Record<string, string>, count: number): Promise<string[]> {
  const store = await openStore(readConfig(env), {
    log: { ...console, info: () => undefined },
    onFatal: (error) => {
      throw error;
    },
    exclusive: true,
    create: true,
  });
  const made = Array.from({ length: count }, generateKey);
  for (const { keyId, secret } of made) {
    await store.keys.create({
      keyId,
      hash: hashSecret(secret),
      name: 'benchmark',
      tenant: 'benchmark',
      status: 'active',
      rateLimit: UNREACHED_LIMIT,
      createdAt: Date.now() * 1000,
      lastUsedAt: null,
    });
  }
  await store.close();
  return made.map(formatKey);
}

async function deleteTables(env: Record<string, string>): Promise<void> {
  const { endpoint, region, tables } = readConfig(env).dynamodb;
  const client = new DynamoDBClient({ region, ...(endpoint === null ? {} : { endpoint }) });
  for (const TableName of Object.values(tables)) {
    await client.send(new DeleteTableCommand({ TableName })).catch((error: unknown) => {
      // Another instance has deleted them.
      if (!(error instanceof ResourceNotFoundException)) throw error;
    });
  }
  client.destroy();
}
