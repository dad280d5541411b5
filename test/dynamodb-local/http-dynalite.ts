import t from 'tap';
import { idempotencyContract } from '../contracts/idempotency-contract.ts';
import { sharedContract } from '../contracts/shared-contract.ts';
import { startDynalite } from '../../bench/harness/dynamodb.ts';
import { dynamoService } from '../support/dynamodb-service.ts';
import { unversionedContract } from '../contracts/unversioned-contract.ts';
import { v1Contract } from '../contracts/v1-contract.ts';

const service = dynamoService(startDynalite);

v1Contract(t, service);
unversionedContract(t, service);
idempotencyContract(t, service);
sharedContract(t, (t) => service.startTwo(t));
