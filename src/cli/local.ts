/**
 * `npm run local [-- --port 8000]`: DynamoDB Local without Docker. Fetches it the first time, starts it, creates the
 * tables, says what to do next, and stops it on Ctrl-C. Its data is gone then.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { extname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { startDynamoDbLocal } from './dynamodb-local.ts';

const { values } = parseArgs({ options: { port: { type: 'string', default: '8000' } } });

console.log('Starting DynamoDB Local (the first time it is fetched from Maven Central) ...');
const local = await startDynamoDbLocal(Number(values.port)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  return undefined;
});
if (local === undefined) process.exit(1);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void local.stop());
}

const tables = spawn(
  process.execPath,
  [...process.execArgv, join(import.meta.dirname, `tables${extname(import.meta.filename)}`), 'create'],
  { stdio: 'inherit', env: { ...process.env, DYNAMODB_ENDPOINT_URL: local.endpoint } },
);
const [code] = (await once(tables, 'exit')) as [number | null];
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
