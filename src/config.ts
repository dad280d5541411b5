import type { Environment, Read } from './environment.ts';
import {
  flag,
  integer,
  oneOf,
  optional,
  optionalUrl,
  readEnvironment,
  text,
  webOrigins,
} from './environment.ts';
import type { TlsFiles } from './http/certificate.ts';
import { STORES, type StoreConfig } from './store/store-config.ts';

/** What the command of the keys has to know. */
export interface KeysConfig extends StoreConfig {
  /** Requests a minute for a new key. */
  readonly defaultRateLimit: number;
}

/** Where the service listens. */
export interface ListenConfig {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

/** Everything that can be set from outside. Frozen. */
export interface Config extends KeysConfig, ListenConfig {
  /** Where metrics are served; null: nowhere, and nothing is counted. 0: any free port. */
  readonly metricsPort: number | null;
  /** Of PEM files; null for plain HTTP. */
  readonly tls: TlsFiles | null;
  /** Whose pages may use the API from a browser; empty: nobody's. */
  readonly corsOrigins: '*' | readonly string[];
  /** `local` takes the fixed test key beside stored ones. */
  readonly authMode: AuthMode;
  readonly apiKeyCacheTtlSeconds: number;
  /** Keys. */
  readonly apiKeyCacheSize: number;
  /** 0: equal events of the unversioned contract are never duplicates. */
  readonly dedupWindowSeconds: number;
  /** Requests with one key that may wait for events at one time. */
  readonly maxWaitsPerKey: number;
  readonly logLevel: LogLevel;
  readonly shutdownGraceSeconds: number;
}

const AUTH_MODES = ['local', 'keys'] as const;
export type AuthMode = (typeof AUTH_MODES)[number];

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Reads the whole configuration. It and the other readers throw a `ConfigError`, as `readEnvironment` does. */
export function readConfig(env: Environment): Config {
  return readEnvironment(env, (read, problems) => {
    const config: Config = {
      ...listenVariables(read),
      metricsPort: read('METRICS_PORT', '', optional(integer(0, 65_535))),
      tls: tlsFiles(read, problems),
      ...storeVariables(read),
      corsOrigins: read('CORS_ORIGINS', '', webOrigins),
      authMode: read('AUTH_MODE', 'local', oneOf(AUTH_MODES)),
      apiKeyCacheTtlSeconds: read('API_KEY_CACHE_TTL_SECONDS', '30', integer(1, 3_600)),
      apiKeyCacheSize: read('API_KEY_CACHE_SIZE', '10000', integer(1, 1_000_000)),
      defaultRateLimit: defaultRateLimit(read),
      dedupWindowSeconds: read('DEDUP_WINDOW_SECONDS', '300', integer(0, 7 * 86_400)),
      maxWaitsPerKey: read('MAX_WAITS_PER_KEY', '1000', integer(1, 1_000_000)),
      logLevel: read('LOG_LEVEL', 'info', oneOf(LOG_LEVELS)),
      shutdownGraceSeconds: read('SHUTDOWN_GRACE_SECONDS', '10', integer(0, 3_600)),
    };
    problems.push(...testKeyProblems(config, env, read('ALLOW_PUBLIC_TEST_KEY', 'false', flag)));
    if (config.metricsPort === config.port && config.port > 0) {
      problems.push(`METRICS_PORT: must not be ${String(config.port)}, which is PORT; take another one`);
    }
    return config;
  });
}

/** For the command line: what the service alone reads may be wrong, and is not looked at. */
export function readStoreConfig(env: Environment): StoreConfig {
  return readEnvironment(env, storeVariables);
}

/** As `readStoreConfig`. */
export function readKeysConfig(env: Environment): KeysConfig {
  return readEnvironment(env, (read) => ({
    ...storeVariables(read),
    defaultRateLimit: defaultRateLimit(read),
  }));
}

/** For the command that asks a running service: where it listens, and whether with TLS. */
export function readHealthConfig(env: Environment): ListenConfig & { readonly tls: boolean } {
  return readEnvironment(env, (read) => ({
    ...listenVariables(read),
    tls: Boolean(env['TLS_CERT_FILE']),
  }));
}

function listenVariables(read: Read): ListenConfig {
  return {
    host: read('HOST', '127.0.0.1', text),
    port: read('PORT', '8080', integer(0, 65_535)),
  };
}

function storeVariables(read: Read): StoreConfig {
  const endpoint = read('DYNAMODB_ENDPOINT_URL', '', optionalUrl);
  const shards = read('INBOX_SHARDS', '4', integer(1, 100));
  return {
    store: read('STORE', 'embedded', oneOf(STORES)),
    dataDir: read('DATA_DIR', './data', text),
    dynamodb: Object.freeze({
      endpoint,
      region: read('AWS_REGION', 'us-east-1', text),
      tables: Object.freeze({
        events: read('EVENTS_TABLE', 'triggers-api-events', text),
        claims: read('CLAIMS_TABLE', 'triggers-api-claims', text),
        keys: read('API_KEYS_TABLE', 'triggers-api-keys', text),
      }),
      createTables: read('DYNAMODB_CREATE_TABLES', String(endpoint !== null), flag),
      shards,
      readShards: read('INBOX_READ_SHARDS', String(shards || 4), integer(shards || 1, 100)),
    }),
    eventTtlSeconds: read('EVENT_TTL_SECONDS', '604800', integer(1, 10 * 365 * 86_400)),
    maxAttempts: read('MAX_ATTEMPTS', '10', integer(0, 1_000_000)),
  };
}

/** With one of the two alone keys would be sent in plain text, against what the operator meant. */
function tlsFiles(read: Read, problems: string[]): TlsFiles | null {
  const certFile = read('TLS_CERT_FILE', '', text);
  const keyFile = read('TLS_KEY_FILE', '', text);
  if (certFile === '' && keyFile === '') return null;
  if (certFile === '') problems.push('TLS_CERT_FILE: is missing beside TLS_KEY_FILE; set both or none');
  if (keyFile === '') problems.push('TLS_KEY_FILE: is missing beside TLS_CERT_FILE; set both or none');
  return Object.freeze({ certFile, keyFile });
}

function defaultRateLimit(read: Read): number {
  return read('DEFAULT_RATE_LIMIT', '60000', integer(1, 999_999_999));
}

/** Keeps the well-known test key off production, and off the network unless that is wanted. */
function testKeyProblems(
  { authMode, host, corsOrigins }: Config,
  env: Environment,
  publicTestKey: boolean,
): string[] {
  if (authMode !== 'local') return [];
  const problems: string[] = [];
  if (env['NODE_ENV'] === 'production') {
    problems.push(
      'AUTH_MODE: local is for development and does not start with NODE_ENV=production; set AUTH_MODE=keys',
    );
  }
  if (!isLoopback(host) && !publicTestKey) {
    problems.push(
      `HOST: ${host} can be reached from other machines, where AUTH_MODE=local would give the well-known ` +
        'test key to everybody; listen on 127.0.0.1, set AUTH_MODE=keys, or ALLOW_PUBLIC_TEST_KEY=true if that is what you want',
    );
  }
  if (corsOrigins === '*' && !publicTestKey) {
    problems.push(
      'CORS_ORIGINS: * lets every page that you open in a browser use the well-known test key of AUTH_MODE=local; ' +
        'name the origins, set AUTH_MODE=keys, or ALLOW_PUBLIC_TEST_KEY=true if that is what you want',
    );
  }
  return problems;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}
