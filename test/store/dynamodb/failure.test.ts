import { DynamoDBServiceException } from '@aws-sdk/client-dynamodb';
import t from 'tap';
import { openStore } from '../../support/dynamodb.ts';
import { freshTables } from '../../../bench/harness/dynamodb.ts';
import { toStoreError } from '../../../src/store/dynamodb/failure.ts';

void t.test('a store that cannot be reached says what to check', async (t) => {
  const store = await openStore(t, 'http://127.0.0.1:1', { tables: freshTables() });
  await t.rejects(store.ping(), {
    message: /ECONNREFUSED.*nothing listens there; check DYNAMODB_ENDPOINT_URL/,
  });
});

void t.test('a name that is not known', async (t) => {
  const store = await openStore(t, 'http://dynamodb.invalid', { tables: freshTables() });
  await t.rejects(store.ping(), { message: /dynamodb\.invalid.*check AWS_REGION/ });
});

void t.test('what AWS refuses says who can allow it', (t) => {
  const refused = new DynamoDBServiceException({
    name: 'AccessDeniedException',
    message: 'not authorized: PutItem',
    $fault: 'client',
    $metadata: {},
  });
  t.match(toStoreError(refused, 'events'), {
    name: 'StoreUnavailableError',
    message:
      'DynamoDB, table events: AccessDeniedException: not authorized: PutItem (the policy of this role or user must allow it)',
  });
  t.end();
});
