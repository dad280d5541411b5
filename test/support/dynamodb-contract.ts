import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import type { StoreHarness } from '../contracts/store-world.ts';
import { eventually, freshTables } from '../../bench/harness/dynamodb.ts';
import { openStore, PATIENT_MS } from './dynamodb.ts';

/** Plugs the DynamoDB store into the contract; `endpoint` gives the engine of a test. */
export function dynamoHarness(name: string, endpoint: (t: Test) => Promise<string>): StoreHarness {
  return {
    name,
    async open(t, { now, eventTtl, maxAttempts }) {
      let clockMs = 0;
      const url = await endpoint(t);
      const options = {
        tables: freshTables(),
        now,
        eventTtl,
        ...(maxAttempts === undefined ? {} : { maxAttempts }),
        clockMs: () => clockMs,
        callBudgetMs: PATIENT_MS,
      };
      const store = await openStore(t, url, options);
      // The first table of an emulator that has just started takes its time.
      await eventually(() => store.ping());
      return {
        store,
        reopen: () => openStore(t, url, options),
        attempts: 20,
        async settle(attempt) {
          // A count may be 10 s old, and the index may lag.
          clockMs += 10_000;
          if (attempt > 0) await sleep(50);
        },
      };
    },
  };
}
