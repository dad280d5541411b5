import { existsSync } from 'node:fs';

/** Environment variables, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Lists every variable that is wrong, and what it takes. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** What a variable may hold. */
export interface Kind<T> {
  readonly takes: string;
  /** Undefined for a bad value. */
  readonly parse: (text: string) => T | undefined;
}

/** Reads one variable. A bad value is noted, and thrown with all others at the end. */
export type Read = <T>(name: string, fallback: string, kind: Kind<T>) => T;

/**
 * Reads those variables that `variables` asks for; an empty one counts as unset. Throws a `ConfigError` that names every
 * bad one.
 *
 * @param variables also gets the list of problems, for those that no single variable has.
 */
export function readEnvironment<T>(
  env: Environment,
  variables: (read: Read, problems: string[]) => T,
): Readonly<T> {
  const problems: string[] = [];
  const read: Read = <V>(name: string, fallback: string, { takes, parse }: Kind<V>): V => {
    const text = env[name] === undefined || env[name] === '' ? fallback : env[name];
    const value = parse(text);
    if (value === undefined) problems.push(`${name}: takes ${takes}, not ${JSON.stringify(text)}`);
    return value as V;
  };
  const values = variables(read, problems);
  if (problems.length > 0) throw new ConfigError(problems.join('\n'));
  return Object.freeze(values);
}

/** Adds what `.env` in the working folder holds, if it is there, to `process.env`. Throws a `ConfigError`. */
export function loadEnvFile(): void {
  if (!existsSync('.env')) return;
  try {
    process.loadEnvFile('.env');
  } catch (error) {
    throw new ConfigError(`.env: cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export const text: Kind<string> = { takes: 'text', parse: (value) => value };

/** Empty: null. */
export const optionalUrl: Kind<string | null> = {
  takes: 'an http:// or https:// URL',
  parse: (value) =>
    value === '' ? null : /^https?:\/\//.test(value) && URL.canParse(value) ? value : undefined,
};

/** Empty: none. */
export const webOrigins: Kind<'*' | readonly string[]> = {
  takes: 'origins like https://app.example.com (scheme, host and port only), separated by commas; or *',
  parse: (value) => {
    if (value === '*') return value;
    const origins = value === '' ? [] : value.split(',').map((origin) => origin.trim());
    return origins.every(isWebOrigin) ? Object.freeze(origins) : undefined;
  },
};

/** As browsers write it: in lower case, without a default port and a slash. What is written otherwise would never be equal. */
function isWebOrigin(origin: string): boolean {
  return /^https?:[^*]*$/.test(origin) && URL.canParse(origin) && new URL(origin).origin === origin;
}

export const flag: Kind<boolean> = {
  takes: 'true or false',
  parse: (value) => (value === 'true' ? true : value === 'false' ? false : undefined),
};

export function integer(min: number, max: number): Kind<number> {
  return {
    takes: `a whole number from ${String(min)} to ${String(max)}`,
    parse: (value) => {
      const number = /^\d{1,15}$/.test(value) ? Number(value) : NaN;
      return number >= min && number <= max ? number : undefined;
    },
  };
}

/** Empty: null. */
export function optional<T>({ takes, parse }: Kind<T>): Kind<T | null> {
  return { takes, parse: (value) => (value === '' ? null : parse(value)) };
}

export function oneOf<const T extends string>(values: readonly T[]): Kind<T> {
  return {
    takes: values.join(', ').replace(/, ([^,]*)$/, ' or $1'),
    parse: (value) => values.find((candidate) => candidate === value),
  };
}
