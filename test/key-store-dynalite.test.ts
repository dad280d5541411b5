import t from 'tap';
import { keyStoreContract } from './key-store-contract.ts';
import { freshTables, openStore, startDynalite } from './support/dynamodb.ts';

keyStoreContract(t, async (t) => {
  const endpoint = await startDynalite(t);
  const tables = freshTables();
  const open = async () => (await openStore(t, endpoint, { tables })).keys;
  return { keys: await open(), again: open };
});
