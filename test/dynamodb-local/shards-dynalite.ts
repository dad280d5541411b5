import t from 'tap';
import { startDynalite } from '../../bench/harness/dynamodb.ts';
import { shardsContract } from '../contracts/shards-contract.ts';

shardsContract(t, startDynalite);
