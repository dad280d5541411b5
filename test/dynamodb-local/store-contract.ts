import t from 'tap';
import { storeContract } from '../store-contract.ts';
import { localEndpoint } from '../support/dynamodb.ts';
import { dynamoHarness } from '../support/dynamodb-contract.ts';

storeContract(
  t,
  dynamoHarness('DynamoDB Local', () => Promise.resolve(localEndpoint())),
);
