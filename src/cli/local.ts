/**
 * `npm run local [-- --port 8000]`: DynamoDB Local without Docker. Fetches it the first time, starts it, creates the
 * tables, says what to do next, and stops it on Ctrl-C. Its data is gone then.
 */
import { parseArgs } from 'node:util';
import { loadEnvFile } from '../environment.ts';
import { startDynamoDbLocal } from './dynamodb-local.ts';
import { tablesCommand } from './tables-command.ts';

const { values } = parseArgs({ options: { port: { type: 'string', default: '8000' } } });
loadEnvFile();

console.log('Starting DynamoDB Local (the first time it is fetched from Maven Central) ...');
const local = await startDynamoDbLocal(Number(values.port)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  return undefined;
});
if (local === undefined) process.exit(1);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void local.stop());
}

const code = await tablesCommand(['create'], {
  env: { ...process.env, DYNAMODB_ENDPOINT_URL: local.endpoint },
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
});
if (code === 0) {
  console.log(`
DynamoDB Local listens on ${local.endpoint}, with its data in memory. In another terminal:

  STORE=dynamodb DYNAMODB_ENDPOINT_URL=${local.endpoint} npm start
  DYNAMODB_ENDPOINT_URL=${local.endpoint} npm run test:dynamodb

Ctrl-C stops it.`);
} else {
  await local.stop();
  process.exitCode = 1;
}
await local.ended;
