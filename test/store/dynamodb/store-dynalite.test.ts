import t from 'tap';
import { claimsContract } from '../../contracts/claims-contract.ts';
import { storeContract } from '../../contracts/store-contract.ts';
import { startDynalite } from '../../../bench/harness/dynamodb.ts';
import { dynamoHarness } from '../../support/dynamodb-contract.ts';

const harness = dynamoHarness('dynalite', startDynalite);

storeContract(t, harness);
claimsContract(t, harness);
