/**
 * `npm run test:dynamodb [-- <arguments for tap>]`: the tests of this folder, against the DynamoDB Local at
 * `DYNAMODB_ENDPOINT_URL`, or against one that is fetched and started here; and the long ones on dynalite.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startDynamoDbLocal } from '../../src/cli/dynamodb-local.ts';

const folder = fileURLToPath(new URL('.', import.meta.url));
const files = readdirSync(folder).filter((name) => name.endsWith('.ts') && name !== 'main.ts');

const given = process.env['DYNAMODB_ENDPOINT_URL'];
const local = given === undefined ? await startDynamoDbLocal() : undefined;
const endpoint = given ?? local?.endpoint;
console.log(`DynamoDB at ${String(endpoint)}`);

const tests = spawn(
  'npx',
  ['tap', '--disable-coverage', ...process.argv.slice(2), ...files.map((name) => `${folder}${name}`)],
  { stdio: 'inherit', env: { ...process.env, DYNAMODB_ENDPOINT_URL: endpoint } },
);
const [code] = (await once(tests, 'exit')) as [number | null];
await local?.stop();
process.exitCode = code ?? 1;
