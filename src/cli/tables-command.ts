import { parseArgs } from 'node:util';
import { readStoreConfig } from '../config.ts';
import type { Environment } from '../environment.ts';
import { ConfigError } from '../environment.ts';
import { createClient } from '../store/dynamodb/client.ts';
import { toStoreError } from '../store/dynamodb/failure.ts';
import {
  addLeaseIndex,
  createTable,
  dropInboxIndex,
  INBOX_INDEX,
  LEASE_INDEX,
  tableDefinitions,
} from '../store/dynamodb/table-definitions.ts';
import type { DynamoConfig } from '../store/store-config.ts';
import type { Surroundings } from './command.ts';
import { command, UsageError } from './command.ts';

const USAGE = `Usage: triggers-api tables create | upgrade | drop-old-index

create          creates the DynamoDB tables that are missing, with their index, on-demand billing and TTL, and waits
                until they can be used. Tables that are there already are left as they are.
upgrade         makes the index that leases need (lease-index) on an events table of a version without leases, beside
                the index that is there, and waits until it is complete. Instances go on working meanwhile.
drop-old-index  deletes the index of versions without leases (inbox-index), when no instance of such a version runs
                any more and all others have been running for a minute since the upgrade.

All may be repeated.

Environment:
  DYNAMODB_ENDPOINT_URL  endpoint of DynamoDB Local or another engine; unset: AWS
  AWS_REGION             us-east-1 unless set; credentials come from the SDK's default chain
  EVENTS_TABLE           triggers-api-events unless set
  CLAIMS_TABLE           triggers-api-claims unless set
  API_KEYS_TABLE         triggers-api-keys unless set

Exit status: 0 the tables are there, 1 DynamoDB did not let it happen, 2 not understood.
`;

/** `triggers-api tables`: for deployments where the service may not create tables. */
export const tablesCommand = command('tables', async (args, surroundings) => {
  const name = parse(args);
  if (name === 'help') return USAGE;
  await COMMANDS[name](dynamoConfig(surroundings.env), surroundings);
  return '';
});

const COMMANDS = { create, upgrade, 'drop-old-index': dropOldIndex };
type Name = keyof typeof COMMANDS;

function parse(args: readonly string[]): Name | 'help' {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { help: { type: 'boolean', short: 'h' } },
    });
    if (values.help) return 'help';
    const [name, ...rest] = positionals;
    if (name === undefined) throw new UsageError('no command');
    if (!isName(name) || rest.length > 0) throw new UsageError(`unknown command: ${positionals.join(' ')}`);
    return name;
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}

function isName(text: string): text is Name {
  return Object.hasOwn(COMMANDS, text);
}

function dynamoConfig(env: Environment): DynamoConfig {
  try {
    return readStoreConfig(env).dynamodb;
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(error.message);
    throw error;
  }
}

/** Prints each table as soon as it is there: creating one may take a minute. */
async function create(config: DynamoConfig, { stdout }: Surroundings): Promise<void> {
  for (const definition of tableDefinitions(config.tables)) {
    const name = String(definition.TableName);
    const created = await on(config, name, (client) => createTable(client, definition));
    stdout(`${name}: ${created ? 'created' : 'was there already'}\n`);
  }
}

/** An index of a large table takes minutes to hours. */
async function upgrade(config: DynamoConfig, { stdout }: Surroundings): Promise<void> {
  const name = config.tables.events;
  const made = await on(config, name, (client) => addLeaseIndex(client, name));
  stdout(`${name}: ${LEASE_INDEX} ${made ? 'made' : 'was there already'}\n`);
}

async function dropOldIndex(config: DynamoConfig, { stdout }: Surroundings): Promise<void> {
  const name = config.tables.events;
  const dropped = await on(config, name, (client) => dropInboxIndex(client, name));
  stdout(`${name}: ${INBOX_INDEX} ${dropped ? 'is being deleted' : 'was not there'}\n`);
}

/** Runs `work` with a client. An error names the table and the place. */
async function on<T>(
  { endpoint, region }: DynamoConfig,
  table: string,
  work: (client: ReturnType<typeof createClient>) => Promise<T>,
): Promise<T> {
  const client = createClient({ region, ...(endpoint === null ? {} : { endpoint }) });
  try {
    return await work(client);
  } catch (error) {
    const place = endpoint ?? `AWS, region ${region}`;
    throw new Error(`${toStoreError(error, table).message} (${place})`, { cause: error });
  } finally {
    client.destroy();
  }
}
