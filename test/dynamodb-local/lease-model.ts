/**
 * The model of leases (`test/contracts/lease-model.ts`) on DynamoDB Local: two instances whose clocks differ, and an endpoint that
 * loses answers.
 */
import t from 'tap';
import { startFaultyEndpoint } from '../../bench/harness/faulty-endpoint.ts';
import { freshTables } from '../../bench/harness/dynamodb.ts';
import type { Micros } from '../../src/store/event.ts';
import { runLeaseModel, type Instance } from '../contracts/lease-model.ts';
import { localEndpoint, openStore, PATIENT_MS } from '../support/dynamodb.ts';

const OFF_BY: Micros = 900_000;
const ROUNDS = 60;

/** `LEASE_SEEDS=20` tries so many more. */
const MORE = Number(process.env['LEASE_SEEDS'] ?? '0');
const RUNS: readonly (readonly [name: string, faults: number, seed: number])[] = [
  ['no fault', 0, 1],
  ['some answers are lost', 0.03, 2],
  ['a tenth of the answers is lost', 0.1, 3],
  ...Array.from({ length: MORE }, (_, n) => ['some answers are lost', 0.05, 4 + n] as const),
];

for (const [name, faults, seed] of RUNS) {
  void t.test(`two instances, clocks 1.8 s apart, ${name}, seed ${String(seed)}`, async (t) => {
    const proxy = await startFaultyEndpoint(t, localEndpoint());
    let now = Date.now() * 1000;
    const options = { tables: freshTables(), maxAttempts: 3, eventTtl: 3600e6, callBudgetMs: PATIENT_MS };
    const instances: Instance[] = [];
    for (const offset of [OFF_BY, -OFF_BY]) {
      const store = await openStore(t, proxy.endpoint, { ...options, now: () => now + offset });
      instances.push({ store, offset });
    }
    const { violations, seen } = await runLeaseModel(
      {
        ...{ eventTtl: options.eventTtl, maxAttempts: options.maxAttempts, offBy: OFF_BY },
        instances: () => instances,
        now: () => now,
        advance: (by) => void (now += by),
        disturb: (random) => {
          proxy.fault = () => (random() < faults ? { kind: 'lost answer' } : undefined);
          return () => {
            proxy.fault = () => undefined;
          };
        },
      },
      seed,
      ROUNDS,
    );
    t.strictSame(violations, []);
    t.comment(JSON.stringify(Object.fromEntries(seen)));
  });
}
