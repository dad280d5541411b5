import { measure } from '../harness/load.ts';
import type { Measurement } from '../load/job.ts';
import type { Row } from '../report/results.ts';
import type { Setting } from './setting.ts';
import type { Suite } from './suite.ts';

const TENANTS = [1, 10_000];
const STORED = 100_000;

export const tenants: Suite = {
  name: 'tenants',
  about: 'the embedded store without HTTP: events of one tenant, and of 10,000 in turn at random',
  on: ['embedded'],
  run: tenantsSuite,
};

/** They take turns, each round in a fresh process with a store of its own that has so many events already. */
async function tenantsSuite(setting: Setting): Promise<Row[]> {
  const rounds = TENANTS.map((): Measurement[] => []);
  for (let round = 0; round < setting.rounds; round++) {
    for (const [index, count] of TENANTS.entries()) {
      setting.progress(`${String(count)} tenants, round ${String(round + 1)} of ${String(setting.rounds)}`);
      const stored = Math.min(STORED, setting.mostPending);
      const here = { url: '', key: '', pid: null };
      const job = { kind: 'append', tenants: count, stored, ...here, ...setting.times } as const;
      rounds[index]?.push(await measure(job, 'server'));
    }
  }
  return TENANTS.map((count, index) => ({
    suite: 'tenants',
    store: setting.storeLabel,
    what: nameOf(count),
    rounds: rounds[index] ?? [],
    checks: [],
  }));
}

function nameOf(count: number): string {
  return `${String(count)} ${count === 1 ? 'tenant' : 'tenants'}`;
}
