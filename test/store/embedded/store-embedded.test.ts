import t from 'tap';
import { openEmbeddedStore } from '../../../src/store/embedded/embedded-store.ts';
import { claimsContract } from '../../contracts/claims-contract.ts';
import { leaseContract } from '../../contracts/lease-contract.ts';
import type { StoreHarness } from '../../contracts/store-world.ts';
import { storeContract } from '../../contracts/store-contract.ts';
import { quietLog } from '../../support/quiet-log.ts';

const harness: StoreHarness = {
  name: 'embedded',
  open: async (t, { now, eventTtl, maxAttempts }) => {
    const options = {
      path: t.testdir(),
      now,
      eventTtl,
      ...(maxAttempts === undefined ? {} : { maxAttempts }),
      sweepSeconds: 0,
      log: {
        ...quietLog,
        error: (detail: object) => {
          t.fail('a store that nobody has damaged reports damage', detail);
        },
        warn: () => undefined,
      },
      onFatal: (error: Error) => {
        t.fail(error);
      },
    };
    let store = await openEmbeddedStore(options);
    t.teardown(() => store.close());
    return {
      store,
      reopen: async () => (store = await openEmbeddedStore(options)),
    };
  },
};

storeContract(t, harness);
claimsContract(t, harness);
leaseContract(t, harness);
