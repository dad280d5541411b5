import t from 'tap';
import { startDynalite } from '../../bench/harness/dynamodb.ts';
import { idempotencyContract } from '../contracts/idempotency-contract.ts';
import { v1Contract } from '../contracts/v1-contract.ts';
import { lambdaService, packFunction } from '../support/lambda-service.ts';

const service = lambdaService(packFunction(t), startDynalite);

v1Contract(t, service);
idempotencyContract(t, service);
