import t from 'tap';
import { claimsContract } from '../contracts/claims-contract.ts';
import { storeContract } from '../contracts/store-contract.ts';
import { localEndpoint } from '../support/dynamodb.ts';
import { dynamoHarness } from '../support/dynamodb-contract.ts';

const harness = dynamoHarness('DynamoDB Local', () => Promise.resolve(localEndpoint()));

storeContract(t, harness);
claimsContract(t, harness);
