import t from 'tap';
import { leaseContract } from '../contracts/lease-contract.ts';
import { localEndpoint } from '../support/dynamodb.ts';
import { dynamoHarness } from '../support/dynamodb-contract.ts';

leaseContract(
  t,
  dynamoHarness('DynamoDB Local', () => Promise.resolve(localEndpoint())),
);
