/** Everything that can be set from outside. Frozen. */
export interface Config {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly dataDir: string;
  readonly eventTtlSeconds: number;
  /** 0: equal events of the unversioned contract are never one. */
  readonly dedupWindowSeconds: number;
  readonly logLevel: LogLevel;
  readonly shutdownGraceSeconds: number;
}

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

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

  const config: Config = {
    host: read('HOST', '127.0.0.1', text),
    port: read('PORT', '8080', integer(0, 65_535)),
    dataDir: read('DATA_DIR', './data', text),
    eventTtlSeconds: read('EVENT_TTL_SECONDS', '604800', integer(1, 10 * 365 * 86_400)),
    dedupWindowSeconds: read('DEDUP_WINDOW_SECONDS', '300', integer(0, 7 * 86_400)),
    logLevel: read('LOG_LEVEL', 'info', oneOf(LOG_LEVELS)),
    shutdownGraceSeconds: read('SHUTDOWN_GRACE_SECONDS', '10', integer(0, 3_600)),
  };
  read('STORE', 'embedded', oneOf(['embedded']));
  read('AUTH_MODE', 'local', oneOf(['local']));
  const publicTestKey = read('ALLOW_PUBLIC_TEST_KEY', 'false', flag);

  if (env['NODE_ENV'] === 'production') {
    problems.push('AUTH_MODE: local is for development and does not start with NODE_ENV=production');
  }
  if (!isLoopback(config.host) && !publicTestKey) {
    problems.push(
      `HOST: ${config.host} can be reached from other machines, where AUTH_MODE=local would give the well-known ` +
        'test key to everybody; listen on 127.0.0.1, or set ALLOW_PUBLIC_TEST_KEY=true if that is what you want',
    );
  }
  if (problems.length > 0) throw new ConfigError(problems.join('\n'));
  return Object.freeze(config);
}

interface Kind<T> {
  readonly takes: string;
  /** Undefined for a bad value. */
  readonly parse: (text: string) => T | undefined;
}

const text: Kind<string> = { takes: 'text', parse: (value) => value };

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
