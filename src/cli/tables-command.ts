import { parseArgs } from 'node:util';
import { readStoreConfig } from '../config.ts';
import type { Environment } from '../environment.ts';
import { ConfigError } from '../environment.ts';
import { createClient } from '../store/dynamodb/client.ts';
import { toStoreError } from '../store/dynamodb/failure.ts';
import { createTable, tableDefinitions } from '../store/dynamodb/table-definitions.ts';
import type { DynamoConfig } from '../store/store-config.ts';
import type { Surroundings } from './command.ts';
import { command, UsageError } from './command.ts';

const USAGE = `Usage: triggers-api tables create

Creates the DynamoDB tables that are missing, with their index, on-demand billing and TTL, and waits until they can be
used. Tables that are there already are left as they are.

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
  if (parse(args) === 'help') return USAGE;
  await create(dynamoConfig(surroundings.env), surroundings);
  return '';
});

function parse(args: readonly string[]): 'create' | 'help' {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { help: { type: 'boolean', short: 'h' } },
    });
    if (values.help) return 'help';
    const [name, ...rest] = positionals;
    if (name === undefined) throw new UsageError('no command');
    if (name !== 'create' || rest.length > 0)
      throw new UsageError(`unknown command: ${positionals.join(' ')}`);
    return 'create';
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
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
async function create({ endpoint, region, tables }: DynamoConfig, { stdout }: Surroundings): Promise<void> {
  const client = createClient({ region, ...(endpoint === null ? {} : { endpoint }) });
  try {
    for (const definition of tableDefinitions(tables)) {
      const name = String(definition.TableName);
      const created = await createTable(client, definition).catch((error: unknown) => {
        const place = endpoint ?? `AWS, region ${region}`;
        throw new Error(`${toStoreError(error, name).message} (${place})`, { cause: error });
      });
      stdout(`${name}: ${created ? 'created' : 'was there already'}\n`);
    }
  } finally {
    client.destroy();
  }
}
