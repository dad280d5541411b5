import { parseArgs } from 'node:util';
import { formatKey, generateKey } from '../access/key-format.ts';
import { hashSecret } from '../access/secret-hash.ts';
import { readKeysConfig } from '../config.ts';
import { formatMicros } from '../events/clock.ts';
import { openStore } from '../store/open-store.ts';
import { CorruptKeyError } from '../store/store-errors.ts';
import type { ApiKey, KeyChanges, KeyStore } from '../store/key-store.ts';
import type { Surroundings } from './command.ts';
import { command, UsageError } from './command.ts';

const USAGE = `Usage: triggers-api keys COMMAND

  create --name NAME [--tenant TENANT] [--rate-limit N]
                            make a key for a tenant ("default"), N requests a minute (DEFAULT_RATE_LIMIT);
                            the key is shown only once and cannot be read again
  list                      all keys, oldest first
  revoke KEY_ID             refuse a key that must not be trusted any more
  deactivate KEY_ID         refuse a key for the time being
  activate KEY_ID           take a key again that was revoked or deactivated
  set-rate-limit KEY_ID N   admit N requests a minute on each instance

  --json                    print JSON
  --help                    print this

KEY_ID is the part of a key between its underscores. The environment says which store to use (STORE, DATA_DIR, ...); a
running service need not be stopped, and takes a change within API_KEY_CACHE_TTL_SECONDS.
Exit status: 0 done, 1 failed, 2 not understood.
`;

/** `triggers-api keys`. */
export const keysCommand = command('keys', async (args, surroundings) => {
  const action = parse(args);
  return action === 'help' ? USAGE : onStore(action, surroundings);
});

interface Action {
  /** Whether a store is created when there is none: a mistyped DATA_DIR must not look like a store without keys. */
  readonly makesStore: boolean;
  /** Does it; resolves with what to print. */
  readonly run: (keys: KeyStore, defaultRateLimit: number) => Promise<string>;
}

function parse(args: readonly string[]): Action | 'help' {
  if (args.includes('--help') || args.includes('-h')) return 'help';
  const [name, ...rest] = args;
  switch (name) {
    case 'create':
      return parseCreate(rest);
    case 'list':
      return parseList(rest);
    case 'revoke':
      return parseUpdate(rest, [], () => ({ status: 'revoked' }));
    case 'deactivate':
      return parseUpdate(rest, [], () => ({ status: 'inactive' }));
    case 'activate':
      return parseUpdate(rest, [], () => ({ status: 'active' }));
    case 'set-rate-limit':
      return parseUpdate(rest, ['N'], ([limit = '']) => ({ rateLimit: checkRateLimit(limit) }));
    case undefined:
      throw new UsageError('which command?');
    default:
      throw new UsageError(`there is no command ${JSON.stringify(name)}`);
  }
}

function parseCreate(args: readonly string[]): Action {
  const { values } = parseStrictly(args, [], {
    name: { type: 'string' },
    tenant: { type: 'string', default: 'default' },
    'rate-limit': { type: 'string' },
  });
  const name = checkName(values.name);
  const tenant = checkTenant(values.tenant);
  const rateLimit = values['rate-limit'] === undefined ? undefined : checkRateLimit(values['rate-limit']);

  const run: Action['run'] = async (keys, defaultRateLimit) => {
    const parts = generateKey();
    const record: ApiKey = {
      keyId: parts.keyId,
      hash: hashSecret(parts.secret),
      name,
      tenant,
      status: 'active',
      rateLimit: rateLimit ?? defaultRateLimit,
      createdAt: Date.now() * 1000,
      lastUsedAt: null,
    };
    if (!(await keys.create(record))) throw new Error(`the new id ${parts.keyId} is taken; try again`);
    const key = formatKey(parts);
    if (values.json) return json({ key, ...shown(record) });
    return `${key}\n\nThis is the key. Keep it now: it is stored nowhere and not shown again.\n\n${table([record])}`;
  };
  return { makesStore: true, run };
}

function parseList(args: readonly string[]): Action {
  const { values } = parseStrictly(args, [], {});
  const run: Action['run'] = async (keys) => {
    const all = await keys.list();
    if (values.json) return json({ keys: all.map(shown) });
    return all.length === 0 ? 'There are no API keys yet: create --name NAME makes one.\n' : table(all);
  };
  return { makesStore: false, run };
}

function parseUpdate(
  args: readonly string[],
  operands: readonly string[],
  changesOf: (operands: readonly string[]) => KeyChanges,
): Action {
  const { values, positionals } = parseStrictly(args, ['KEY_ID', ...operands], {});
  const [keyId = '', ...given] = positionals;
  if (keyId.startsWith('trg_')) {
    throw new UsageError(
      'KEY_ID is only the part of the key between its underscores; a whole key is a secret',
    );
  }
  const changes = changesOf(given);
  const run: Action['run'] = async (keys) => {
    const changed = await keys.update(keyId, changes);
    if (!changed) throw new Error(`there is no API key ${JSON.stringify(keyId)}`);
    return values.json ? json(shown(changed)) : table([changed]);
  };
  return { makesStore: false, run };
}

type Options = Record<string, { type: 'string'; default?: string }>;

function parseStrictly<T extends Options>(args: readonly string[], operands: readonly string[], options: T) {
  try {
    const parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { ...options, json: { type: 'boolean', default: false } },
    });
    if (parsed.positionals.length !== operands.length) {
      throw new UsageError(
        operands.length === 0
          ? 'this command takes options only'
          : `this command takes ${operands.join(' ')}`,
      );
    }
    return parsed;
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}

function checkName(name: string | undefined): string {
  if (name === undefined) throw new UsageError('--name is missing: say what the key is for');
  const length = Array.from(name).length;
  // Control characters would reach the terminal when the keys are listed.
  if (length < 1 || length > 255 || /\p{Cc}/u.test(name) || !name.isWellFormed()) {
    throw new UsageError('--name takes 1 to 255 printable characters');
  }
  return name;
}

function checkTenant(tenant: string): string {
  if (/^[A-Za-z0-9_-]{1,64}$/.test(tenant)) return tenant;
  throw new UsageError('--tenant takes 1 to 64 of A-Z a-z 0-9 _ -');
}

function checkRateLimit(text: string): number {
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (limit >= 1) return limit;
  throw new UsageError('a rate limit is a whole number of requests a minute, 1 to 999999999');
}

async function onStore(action: Action, { env, stderr }: Surroundings): Promise<string> {
  const config = readKeysConfig(env);
  const store = await openStore(config, {
    log: errorLog(stderr),
    onFatal: () => undefined,
    exclusive: false,
    create: action.makesStore,
  });
  try {
    return await action.run(store.keys, config.defaultRateLimit);
  } finally {
    await store.close();
  }
}

/** Reports damaged keys that a list leaves out. Other problems are in the error with which a call rejects. */
function errorLog(stderr: Surroundings['stderr']) {
  return {
    info: () => undefined,
    warn: () => undefined,
    error({ err }: { err?: unknown }) {
      if (err instanceof CorruptKeyError) stderr(`keys: left out: ${err.message}\n`);
    },
  };
}

/** The part of a record that is printed; the hash never is. */
function shown(key: ApiKey) {
  return {
    key_id: key.keyId,
    name: key.name,
    tenant: key.tenant,
    status: key.status,
    rate_limit: key.rateLimit,
    created_at: formatMicros(key.createdAt),
    last_used_at: key.lastUsedAt === null ? null : formatMicros(key.lastUsedAt),
  };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function table(keys: readonly ApiKey[]): string {
  const rows = [
    ['KEY_ID', 'TENANT', 'STATUS', 'RATE_LIMIT', 'CREATED', 'LAST_USED', 'NAME'],
    ...keys.map(shown).map((key) => [
      key.key_id,
      key.tenant,
      key.status,
      `${String(key.rate_limit)}/min`,
      key.created_at.slice(0, 19) + 'Z',
      key.last_used_at === null ? 'never' : key.last_used_at.slice(0, 19) + 'Z',
      // The last column, because its width on the screen is hard to calculate.
      key.name,
    ]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
