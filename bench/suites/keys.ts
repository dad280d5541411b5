import { measureColdKeys } from '../harness/load.ts';
import type { Measurement } from '../load/job.ts';
import type { LatencyTarget, Row } from '../report/results.ts';
import { checkLatency } from '../report/results.ts';
import type { Setting } from './setting.ts';
import { address, loadPlace } from './setting.ts';
import type { Suite } from './suite.ts';
import { below, HERE } from './suite.ts';

const COLD_KEYS = 200;

export const keys: Suite = {
  name: 'keys',
  about: `${String(COLD_KEYS)} API keys used for the first time at once, and again`,
  on: HERE,
  run: keysSuite,
};

async function keysSuite(setting: Setting): Promise<Row[]> {
  const found = { firstUse: [], again: [], health: [], known: [] } as Record<string, Measurement[]>;
  const count = Math.min(COLD_KEYS, setting.mostPending);
  for (let round = 0; round < setting.rounds; round++) {
    setting.progress(`round ${String(round + 1)} of ${String(setting.rounds)}`);
    const service = await setting.start({ moreKeys: count });
    try {
      const job = { kind: 'cold-keys', ...address(service), coldKeys: service.moreKeys } as const;
      for (const [name, measurement] of Object.entries(await measureColdKeys(job, loadPlace(setting)))) {
        found[name]?.push(measurement as Measurement);
      }
    } finally {
      await service.stop();
    }
  }
  const gated = setting.withTargets && setting.store === 'embedded';
  const row = (name: string, what: string, target?: LatencyTarget): Row => {
    const measured = { rounds: found[name] ?? [] };
    const checks = gated && target ? [checkLatency(measured, target)] : [];
    return { suite: 'keys', store: setting.storeLabel, what, ...measured, checks };
  };
  return [
    row('firstUse', 'first event of each key'),
    row('again', 'second event of each key'),
    row('health', 'health during the first', below('p99', 20)),
    row('known', 'a known key during the first', below('p99', 50)),
  ];
}
