import { STORES, type StoreConfig } from './store/store-config.ts';

/** Everything that can be set from outside. Frozen. */
export interface Config extends StoreConfig {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** `local` takes the fixed test key beside stored ones. */
  readonly authMode: AuthMode;
  readonly apiKeyCacheTtlSeconds: number;
  /** Keys. */
  readonly apiKeyCacheSize: number;
  /** Requests a minute for a new key. */
  readonly defaultRateLimit: number;
  /** 0: equal events of the unversioned contract are never duplicates. */
  readonly dedupWindowSeconds: number;
  readonly logLevel: LogLevel;
  readonly shutdownGraceSeconds: number;
}

const AUTH_MODES = ['local', 'keys'] as const;
export type AuthMode = (typeof AUTH_MODES)[number];

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Refused because an operator who sets them relies on them: without TLS, for example, keys would be sent in plain text. */
const NOT_YET = ['TLS_CERT_FILE', 'TLS_KEY_FILE', 'METRICS_PORT'];

/** Lists every variable that is wrong, and what it takes. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Reads the configuration from environment variables; an empty one counts as unset. Throws a `ConfigError` that names
 * every bad variable.
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = [];
  const read = <T>(name: string, fallback: string, { takes, parse }: Kind<T>): T => {
    const text = env[name] === undefined || env[name] === '' ? fallback : env[name];
    const value = parse(text);
    if (value === undefined) problems.push(`${name}: takes ${takes}, not ${JSON.stringify(text)}`);
    return value as T;
  };

  const endpoint = read('DYNAMODB_ENDPOINT_URL', '', optionalUrl);
  const shards = read('INBOX_SHARDS', '4', integer(1, 100));
  const config: Config = {
    host: read('HOST', '127.0.0.1', text),
    port: read('PORT', '8080', integer(0, 65_535)),
    store: read('STORE', 'embedded', oneOf(STORES)),
    dataDir: read('DATA_DIR', './data', text),
    dynamodb: {
      endpoint,
      region: read('AWS_REGION', 'us-east-1', text),
      tables: {
        events: read('EVENTS_TABLE', 'triggers-api-events', text),
        claims: read('CLAIMS_TABLE', 'triggers-api-claims', text),
        keys: read('API_KEYS_TABLE', 'triggers-api-keys', text),
      },
      createTables: read('DYNAMODB_CREATE_TABLES', String(endpoint !== null), flag),
      shards,
      readShards: read('INBOX_READ_SHARDS', String(shards || 4), integer(shards || 1, 100)),
    },
    authMode: read('AUTH_MODE', 'local', oneOf(AUTH_MODES)),
    apiKeyCacheTtlSeconds: read('API_KEY_CACHE_TTL_SECONDS', '30', integer(1, 3_600)),
    apiKeyCacheSize: read('API_KEY_CACHE_SIZE', '10000', integer(1, 1_000_000)),
    defaultRateLimit: read('DEFAULT_RATE_LIMIT', '60000', integer(1, 999_999_999)),
    eventTtlSeconds: read('EVENT_TTL_SECONDS', '604800', integer(1, 10 * 365 * 86_400)),
    dedupWindowSeconds: read('DEDUP_WINDOW_SECONDS', '300', integer(0, 7 * 86_400)),
    logLevel: read('LOG_LEVEL', 'info', oneOf(LOG_LEVELS)),
    shutdownGraceSeconds: read('SHUTDOWN_GRACE_SECONDS', '10', integer(0, 3_600)),
  };
  const publicTestKey = read('ALLOW_PUBLIC_TEST_KEY', 'false', flag);

  const local = config.authMode === 'local';
  if (local && env['NODE_ENV'] === 'production') {
    problems.push(
      'AUTH_MODE: local is for development and does not start with NODE_ENV=production; set AUTH_MODE=keys',
    );
  }
  if (local && !isLoopback(config.host) && !publicTestKey) {
    problems.push(
      `HOST: ${config.host} can be reached from other machines, where AUTH_MODE=local would give the well-known ` +
        'test key to everybody; listen on 127.0.0.1, set AUTH_MODE=keys, or ALLOW_PUBLIC_TEST_KEY=true if that is what you want',
    );
  }
  for (const name of NOT_YET) {
    if (env[name]) problems.push(`${name}: is not supported yet; unset it`);
  }
  if (problems.length > 0) throw new ConfigError(problems.join('\n'));
  Object.freeze(config.dynamodb.tables);
  Object.freeze(config.dynamodb);
  return Object.freeze(config);
}

interface Kind<T> {
  readonly takes: string;
  /** Undefined for a bad value. */
  readonly parse: (text: string) => T | undefined;
}

const text: Kind<string> = { takes: 'text', parse: (value) => value };

/** Empty: null. */
const optionalUrl: Kind<string | null> = {
  takes: 'an http:// or https:// URL',
  parse: (value) =>
    value === '' ? null : /^https?:\/\//.test(value) && URL.canParse(value) ? value : undefined,
};

const flag: Kind<boolean> = {
  takes: 'true or false',
  parse: (value) => (value === 'true' ? true : value === 'false' ? false : undefined),
};

function integer(min: number, max: number): Kind<number> {
  return {
    takes: `a whole number from ${String(min)} to ${String(max)}`,
    parse: (value) => {
      const number = /^\d{1,15}$/.test(value) ? Number(value) : NaN;
      return number >= min && number <= max ? number : undefined;
    },
  };
}

function oneOf<const T extends string>(values: readonly T[]): Kind<T> {
  return {
    takes: values.join(', ').replace(/, ([^,]*)$/, ' or $1'),
    parse: (value) => values.find((candidate) => candidate === value),
  };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}
