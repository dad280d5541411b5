import t from 'tap';
import { shardsContract } from '../contracts/shards-contract.ts';
import { localEndpoint } from '../support/dynamodb.ts';

shardsContract(t, () => Promise.resolve(localEndpoint()));
