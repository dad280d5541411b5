import t from 'tap';
import { startDynalite } from '../../bench/harness/dynamodb.ts';
import { unversionedContract } from '../contracts/unversioned-contract.ts';
import { lambdaService, packFunction } from '../support/lambda-service.ts';

unversionedContract(t, lambdaService(packFunction(t), startDynalite));
