import t from 'tap';
import { leaseContract } from '../../contracts/lease-contract.ts';
import { startDynalite } from '../../../bench/harness/dynamodb.ts';
import { dynamoHarness } from '../../support/dynamodb-contract.ts';

leaseContract(t, dynamoHarness('dynalite', startDynalite));
