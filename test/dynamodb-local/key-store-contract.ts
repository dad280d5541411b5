import t from 'tap';
import { keyStoreContract } from '../contracts/key-store-contract.ts';
import { freshTables } from '../../bench/harness/dynamodb.ts';
import { localEndpoint, openStore } from '../support/dynamodb.ts';

keyStoreContract(t, async (t) => {
  const tables = freshTables();
  const open = async () => (await openStore(t, localEndpoint(), { tables })).keys;
  return { keys: await open(), again: open };
});
