import type { Place } from './harness/cores.ts';
import { pinned } from './harness/cores.ts';
import { fill, measure, measureColdKeys } from './harness/load.ts';
import type { Measurement, Target } from './load/job.ts';
import type { LatencyTarget, Row } from './results.ts';
import { checkLatency, IDLE } from './results.ts';
import type { Load, Setting } from './setting.ts';
import { address, CROWD, loadPlace, measureOne } from './setting.ts';
import { ingestSuite, startFloor } from './yardsticks.ts';

export interface Suite {
  readonly name: string;
  readonly about: string;
  readonly on: readonly Setting['store'][];
  readonly run: (setting: Setting) => Promise<Row[]>;
}

interface Measure {
  readonly what: string;
  readonly load: Load;
  readonly targets?: Partial<Record<Setting['store'], readonly LatencyTarget[]>>;
}

const EVERYWHERE = ['embedded', 'dynamodb', 'remote'] as const;
const HERE = ['embedded', 'dynamodb'] as const;
const PENDING = 10_000;
/** Of docs: "flat up to 1,000,000 pending". An emulator would take hours to be filled. */
const BACKLOGS = { embedded: [1_000, 10_000, 100_000, 1_000_000], dynamodb: [1_000, 10_000, 30_000] };
const CLIENTS = [1, 4, 16, 64, 256];
const COLD_KEYS = 200;

const below = (quantile: LatencyTarget['quantile'], belowMs: number): LatencyTarget => ({
  quantile,
  belowMs,
});

const steady = (traffic: string) => ({ kind: 'steady', perSecond: 1_000, traffic }) as const;
const closed = (traffic: string, clients: number): Load => ({ kind: 'closed', clients, traffic });

const pages: readonly Measure[] = [
  { what: 'GET /v1/inbox', load: closed('inbox-v1', 4) },
  { what: 'GET /inbox', load: closed('inbox-unversioned', 4) },
];
const pageTargets = {
  embedded: [below('p95', 10)],
  dynamodb: [below('p95', 60)],
  remote: [below('p95', 200)],
};
const aliveTargets = { embedded: [below('p99', 3)], dynamodb: [below('p99', 3)], remote: [below('p99', 10)] };

/** In the order in which they are run. */
export const SUITES: readonly Suite[] = [
  {
    name: 'health',
    about: 'GET /v1/health and GET /status, 1,000 a second, beside a bare uWebSockets.js',
    on: EVERYWHERE,
    run: healthSuite,
  },
  latencySuite('create-v1', 'POST /v1/events, 1,000 events a second', EVERYWHERE, [
    {
      what: 'POST /v1/events',
      load: steady('create-v1'),
      targets: {
        embedded: [below('p95', 10), below('p99', 25)],
        dynamodb: [below('p95', 30)],
        remote: [below('p95', 100)],
      },
    },
  ]),
  latencySuite(
    'create',
    'POST /events, no two alike, 1,000 events a second',
    ['embedded', 'remote'],
    [
      {
        what: 'POST /events',
        load: steady('create-unversioned'),
        targets: { embedded: [below('p95', 10)], remote: [below('p95', 100)] },
      },
    ],
  ),
  latencySuite(
    'create-rate',
    `POST /events, no two alike: the rate that ${String(CROWD)} clients get`,
    HERE,
    [{ what: 'POST /events', load: closed('create-unversioned', CROWD) }],
  ),
  {
    name: 'ingest',
    about: `POST /v1/events, ${String(CROWD)} clients as fast as they are answered, beside yardsticks`,
    on: EVERYWHERE,
    run: ingestSuite,
  },
  latencySuite(
    'inbox',
    'pages of 50 events at 10,000 pending, 4 clients',
    EVERYWHERE,
    pages.map((page) => ({ ...page, targets: pageTargets })),
    PENDING,
  ),
  latencySuite(
    'walk',
    'the pages of 50 of a walk through 10,000 pending, 1 client',
    EVERYWHERE,
    [{ what: 'GET /v1/inbox?cursor', load: closed('walk-v1', 1), targets: pageTargets }],
    PENDING,
  ),
  latencySuite('mixed', 'of 17 requests 10 create, 3 inbox, 2 get, 1 acknowledge, 1 health', EVERYWHERE, [
    { what: '17 of 5 kinds', load: closed('mixed', 16) },
  ]),
  {
    name: 'keys',
    about: `${String(COLD_KEYS)} API keys used for the first time at once, and again`,
    on: HERE,
    run: keysSuite,
  },
  {
    name: 'clients',
    about: 'POST /v1/events: rate and latency against the number of clients',
    on: HERE,
    run: clientsSuite,
  },
  { name: 'backlog', about: 'pages of 50 events against events pending', on: HERE, run: backlogSuite },
];

/** Measures that take turns, round by round, on one service with so many events pending. */
function latencySuite(
  name: string,
  about: string,
  on: Suite['on'],
  measures: readonly Measure[],
  pending = 0,
): Suite {
  return {
    name,
    about,
    on,
    async run(setting) {
      const service = await setting.start();
      try {
        setting.progress(pending > 0 ? `filling the inbox` : '');
        await fill(
          { ...address(service), count: Math.min(pending, setting.mostPending) },
          loadPlace(setting),
        );
        return await measureInTurns(setting, name, service, measures);
      } finally {
        await service.stop();
      }
    },
  };
}

async function measureInTurns(
  setting: Setting,
  suite: string,
  service: Target,
  measures: readonly Measure[],
): Promise<Row[]> {
  const rounds = measures.map((): Measurement[] => []);
  for (let round = 0; round < setting.rounds; round++) {
    for (const [index, { what, load }] of measures.entries()) {
      setting.progress(`${what}, round ${String(round + 1)} of ${String(setting.rounds)}`);
      rounds[index]?.push(await measureOne(setting, service, load));
    }
  }
  return measures.map(({ what, targets }, index) => {
    const measured = { rounds: rounds[index] ?? [] };
    const wanted = (setting.withTargets && targets?.[setting.store]) || [];
    const checks = wanted.map((target) => checkLatency(measured, target));
    return { suite, store: setting.storeLabel, what, ...measured, checks };
  });
}

async function healthSuite(setting: Setting): Promise<Row[]> {
  const load = { ...steady('health'), spin: true };
  const measures: Measure[] = [
    { what: 'GET /v1/health', load, targets: aliveTargets },
    { what: 'GET /status', load: { ...load, traffic: 'status' }, targets: aliveTargets },
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

async function clientsSuite(setting: Setting): Promise<Row[]> {
  const rows: Row[] = [];
  for (const clients of CLIENTS) {
    const service = await setting.start();
    try {
      const load = { kind: 'saturate', traffic: 'create-v1', clients } as const;
      const what = `${String(clients)} clients`;
      const [row] = await measureInTurns(setting, 'clients', service, [{ what, load }]);
      if (row) rows.push({ ...row, at: clients });
    } finally {
      await service.stop();
    }
  }
  return rows;
}

async function backlogSuite(setting: Setting): Promise<Row[]> {
  const rows: Row[] = [];
  const service = await setting.start();
  try {
    let pending = 0;
    const sizes = BACKLOGS[setting.store === 'embedded' ? 'embedded' : 'dynamodb'];
    for (const size of sizes.filter((size, index) => index === 0 || size <= setting.mostPending)) {
      const wanted = Math.min(size, setting.mostPending);
      setting.progress(`filling the inbox to ${String(wanted)}`);
      await fill({ ...address(service), count: wanted - pending }, loadPlace(setting));
      pending = wanted;
      const measures = pages.map((page) => ({ ...page, targets: pageTargets }));
      const measured = await measureInTurns(setting, 'backlog', service, measures);
      rows.push(
        ...measured.map((row) => ({ ...row, at: size, what: `${row.what}, ${String(size)} pending` })),
      );
    }
  } finally {
    await service.stop();
  }
  return rows;
}
