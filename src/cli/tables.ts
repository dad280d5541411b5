/**
 * `npm run tables -- create`: the DynamoDB tables, on their own, for deployments where the API may not create any.
 * Exit code 0: they are there. 1: DynamoDB did not let it happen. 2: not called as it should be.
 */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readConfig } from '../config.ts';
import { createClient } from '../store/dynamodb/client.ts';
import { toStoreError } from '../store/dynamodb/failure.ts';
import { createTable, tableDefinitions } from '../store/dynamodb/table-definitions.ts';

const HELP = `Usage: npm run tables -- create

Creates the DynamoDB tables that are missing, with their index, on-demand billing and TTL, and waits until they can be
used. Tables that are there already are left as they are.

Environment:
  DYNAMODB_ENDPOINT_URL  endpoint of DynamoDB Local or another engine; unset: AWS
  AWS_REGION             us-east-1 unless set; credentials come from the SDK's default chain
  EVENTS_TABLE           triggers-api-events unless set
  CLAIMS_TABLE           triggers-api-claims unless set
  API_KEYS_TABLE         triggers-api-keys unless set`;

if (existsSync('.env')) process.loadEnvFile('.env');
process.exitCode = await main(process.argv.slice(2), process.env);

async function main(args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({
      args,
      allowPositionals: true,
      options: { help: { type: 'boolean', short: 'h' } },
    });
  } catch (error) {
    return misused(error instanceof Error ? error.message : String(error));
  }
  if (parsed.values.help) {
    console.log(HELP);
    return 0;
  }
  const [command, ...rest] = parsed.positionals;
  if (command !== 'create' || rest.length > 0) {
    return misused(command === undefined ? 'no command' : `unknown command: ${parsed.positionals.join(' ')}`);
  }
  return create(env);
}

function misused(problem: string): number {
  console.error(`${problem}\n\n${HELP}`);
  return 2;
}

async function create(env: NodeJS.ProcessEnv): Promise<number> {
  let config;
  try {
    // How the service takes keys does not matter here.
    config = readConfig({ ...env, AUTH_MODE: 'keys' }).dynamodb;
  } catch (error) {
    return misused(error instanceof Error ? error.message : String(error));
  }
  const { endpoint, region, tables } = config;
  const client = createClient({ region, ...(endpoint === null ? {} : { endpoint }) });
  try {
    for (const definition of tableDefinitions(tables)) {
      const name = String(definition.TableName);
      try {
        const created = await createTable(client, definition);
        console.log(`${name}: ${created ? 'created' : 'was there already'}`);
      } catch (error) {
        console.error(`${toStoreError(error, name).message} (${endpoint ?? `AWS, region ${region}`})`);
        return 1;
      }
    }
    return 0;
  } finally {
    client.destroy();
  }
}
