import t from 'tap';
import { storeContract } from './store-contract.ts';
import { startDynalite } from './support/dynamodb.ts';
import { dynamoHarness } from './support/dynamodb-contract.ts';

storeContract(t, dynamoHarness('dynalite', startDynalite));
