/**
 * What every event store must do: `src/store/event-store.ts` in code. Every adapter passes it unchanged.
 *
 * To plug an adapter in, write `test/store-<name>.test.ts`:
 *
 *     import t from 'tap';
 *     import { storeContract } from './store-contract.ts';
 *
 *     storeContract(t, {
 *       name: 'embedded',
 *       open: async (t, { now, eventTtl }) => {
 *         const store = await openMyStore({ folder: t.testdir(), now, eventTtl });
 *         t.teardown(() => store.close());
 *         return { store };
 *       },
 *     });
 *
 * `open` gives a fresh, empty store to each test and cleans up in `t.teardown`; the test may have closed the store by
 * then. The suite owns the clock: it hands out `now` (around the wall time, in microseconds) and moves it on.
 *
 * A store whose inbox and count may lag behind its writes gives `settle` and `attempts` too: before each read that
 * the suite compares, it awaits `settle` (advance the clock that the age of a cached count is taken from, and from
 * the second attempt on wait a little for the index), and it reads up to `attempts` times until the answer fits.
 * Reads by id are never retried: they are consistent. A store whose data outlives it gives `reopen`.
 */
import type { Test } from 'tap';
import { closing, concurrency, readingBack } from './append-contract.ts';
import { manyAtOnce } from './batch-contract.ts';
import { acknowledging, removing, tenantsKeptApart } from './consume-contract.ts';
import { expiry } from './expiry-contract.ts';
import { counting, filtering, listing, pageSize, walking } from './inbox-contract.ts';
import { newWorld } from './store-world.ts';
import type { StoreHarness } from './store-world.ts';
import { walksThatEnd } from './walks-contract.ts';
import { watching } from './watch-contract.ts';

/** Runs the suite against the harness's stores. */
export function storeContract(t: Test, harness: StoreHarness): void {
  const sections = {
    reading: readingBack,
    tenants: tenantsKeptApart,
    acknowledging,
    removing,
    listing,
    'walking on while things change': walking,
    'walks that end': walksThatEnd,
    filtering,
    'page size': pageSize,
    counting,
    expiry,
    concurrency,
    'many in one call': manyAtOnce,
    watching,
    closing,
  };
  for (const [name, section] of Object.entries(sections)) {
    void t.test(`${harness.name}: ${name}`, (t) => {
      section((name, body) => {
        void t.test(name, async (t) => {
          await body(t, await newWorld(t, harness));
        });
      });
      t.end();
    });
  }
}
