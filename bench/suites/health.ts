import type { Place } from '../harness/cores.ts';
import { pinned } from '../harness/cores.ts';
import { measure } from '../harness/load.ts';
import type { Measurement } from '../load/job.ts';
import type { Row } from '../report/results.ts';
import { IDLE } from '../report/results.ts';
import { startFloor } from '../yardsticks/start.ts';
import type { Setting } from './setting.ts';
import { loadPlace } from './setting.ts';
import type { Measure, Suite } from './suite.ts';
import { below, EVERYWHERE, measureInTurns, steady } from './suite.ts';

const targets = { embedded: [below('p99', 3)], dynamodb: [below('p99', 3)], remote: [below('p99', 10)] };

export const health: Suite = {
  name: 'health',
  about: 'GET /v1/health and GET /status, 1,000 a second, beside a bare uWebSockets.js',
  on: EVERYWHERE,
  run: healthSuite,
};

async function healthSuite(setting: Setting): Promise<Row[]> {
  const load = { ...steady('health'), spin: true };
  const measures: Measure[] = [
    { what: 'GET /v1/health', load, targets },
    { what: 'GET /status', load: { ...load, traffic: 'status' }, targets },
  ];
  const floor = setting.store === 'remote' ? undefined : await startFloor();
  try {
    const service = await setting.start();
    try {
      const rows = await measureInTurns(setting, 'health', service, measures);
      if (floor === undefined) return rows;
      const floorRows = await measureInTurns(setting, 'health', floor, [{ what: 'floor', load }]);
      return [...rows, ...floorRows, ...(await measureIdle(setting))];
    } finally {
      await service.stop();
    }
  } finally {
    await floor?.stop();
  }
}

/** What of the response times is the machine's: the cores that the rows beside it had, at once, with nothing to do. */
async function measureIdle(setting: Setting): Promise<Row[]> {
  const idle = idleCores(setting.store, pinned);
  const rounds = idle.map((): Measurement[] => []);
  for (let round = 0; round < setting.rounds; round++) {
    setting.progress(`no requests, round ${String(round + 1)} of ${String(setting.rounds)}`);
    const job = { kind: 'idle', perSecond: 1_000, url: '', key: '', pid: null, ...setting.times } as const;
    const found = await Promise.all(idle.map(({ place }) => measure(job, place)));
    found.forEach((measurement, index) => rounds[index]?.push(measurement));
  }
  return idle.map(({ what }, index) => ({
    suite: 'health',
    store: setting.storeLabel,
    what,
    rounds: rounds[index] ?? [],
    checks: [],
  }));
}

/** Where idle rows are measured, and what they are called: no core is named where the kernel moves processes about. */
export function idleCores(
  store: Setting['store'],
  pinned: boolean,
): { readonly place: Place; readonly what: string }[] {
  if (!pinned || loadPlace({ store }) === 'any') return [{ place: 'any', what: `${IDLE}, whichever core` }];
  return (['server', 'load'] as const).map((place) => ({ place, what: `${IDLE}, core of the ${place}` }));
}
