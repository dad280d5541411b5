/**
 * `npm run test:dynamodb [files]`: the tests that need the real thing, or rather Amazon's own emulator of it, at
 * `DYNAMODB_ENDPOINT_URL`, or fetched and started here.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import { startDynamoDbLocal } from '../support/dynamodb-local.ts';

const given = process.env['DYNAMODB_ENDPOINT_URL'];
const local = given === undefined ? await startDynamoDbLocal() : undefined;
const endpoint = given ?? local?.endpoint;
console.log(`DynamoDB at ${String(endpoint)}`);
