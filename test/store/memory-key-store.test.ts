import t from 'tap';
import { keyStoreContract } from '../contracts/key-store-contract.ts';
import { createMemoryKeyStore } from '../support/memory-key-store.ts';

keyStoreContract(t, () => {
  const keys = createMemoryKeyStore();
  return Promise.resolve({ keys, again: () => Promise.resolve(keys) });
});
