/** The model of `contracts/lease-model.ts` finds the mistakes that an adapter could make, and none where there is none. */
import t from 'tap';
import type { Micros } from '../src/store/event.ts';
import { runLeaseModel, type ModelResult } from './contracts/lease-model.ts';
import { BUGS, MemoryLeaseStore, type Bug, type MemoryInbox } from './support/memory-lease-store.ts';

const SEEDS = [1, 2, 3, 4, 5, 6];
const OFF_BY: Micros = 900_000;

async function run(seed: number, bug?: Bug, faults = true): Promise<ModelResult> {
  let now: Micros = 1e15;
  let failing = 0;
  let draws = seed;
  const inbox: MemoryInbox = {
    ...{ rows: new Map(), eventTtl: 600e6, maxAttempts: 3, bug },
    fails: () => {
      draws = (draws * 48_271) % 2_147_483_647;
      if (draws % 100 >= failing) return undefined;
      return draws % 2 === 0 ? 'before' : 'after';
    },
  };
  const instances = [0, OFF_BY, -OFF_BY].map((offset) => ({
    store: new MemoryLeaseStore(inbox, () => now + offset),
    offset,
  }));
  const world = {
    ...{ eventTtl: inbox.eventTtl, maxAttempts: inbox.maxAttempts, offBy: OFF_BY },
    instances: () => instances,
    now: () => now,
    advance: (by: Micros) => void (now += by),
    disturb: (random: () => number) => {
      failing = faults && random() < 0.2 ? 60 : 0;
      return () => {
        failing = 0;
      };
    },
  };
  return runLeaseModel(world, seed, 250);
}

void t.test('a store that keeps its promises is not accused', async (t) => {
  const seen = new Set<string>();
  for (const seed of SEEDS) {
    const result = await run(seed);
    t.strictSame(result.violations, []);
    for (const what of result.seen.keys()) seen.add(what);
  }
  const wanted = [
    ...['leased', 'nothing leased', 'lease failed', 'append: stored', 'append: failed'],
    ...['ack: acknowledged', 'ack: lost', 'ack: missing', 'ack: failed'],
    ...['release: released', 'release: quarantined', 'release: lost', 'release: failed'],
    ...['reject: quarantined', 'reject: lost', 'extend: extended', 'extend: lost'],
    ...['acknowledge: acknowledged', 'acknowledge: already', 'acknowledge: leased', 'acknowledge: missing'],
    ...['remove: true', 'remove: false', 'redrive: redriven', 'redrive: missing'],
  ];
  t.strictSame(
    wanted.filter((what) => !seen.has(what)),
    [],
    'every outcome comes',
  );
});

for (const bug of BUGS) {
  void t.test(`found: ${bug}`, async (t) => {
    const found = [];
    for (const seed of SEEDS) {
      // A failed call widens what may be true, so that some mistakes are only seen without one.
      for (const faults of [false, true]) found.push(...(await run(seed, bug, faults)).violations);
      if (found.length > 0) break;
    }
    t.not(found.length, 0);
    t.comment(found[0]);
  });
}
