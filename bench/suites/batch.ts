import { measureDrain } from '../harness/load.ts';
import type { Measurement } from '../load/job.ts';
import { BATCH_SIZE } from '../load/traffic.ts';
import { checkRatio, type RatioTarget, type Row } from '../report/results.ts';
import { startFloor, type Yardstick } from '../yardsticks/start.ts';
import { address, CROWD, loadPlace, measureOne, type Setting } from './setting.ts';
import { HERE, measureContest, type Contestant, type Suite } from './suite.ts';

export const batch: Suite = {
  name: 'batch',
  about: `${String(BATCH_SIZE)} events in a call, sent, acknowledged and leased, beside one by one; rates are of events`,
  on: HERE,
  run: batchSuite,
};

/** Consumers, or producers of batches. */
const CLIENTS = 16;

/** One row. */
interface Contest extends Contestant {
  /** Its rate is of events. */
  readonly measure: (setting: Setting, server: Yardstick) => Promise<Measurement>;
  readonly targets?: readonly RatioTarget[];
}

const SINGLE = 'POST /v1/events';
const BATCH = `POST /v1/events/batch, ${String(BATCH_SIZE)} a call`;
const FLOOR = 'floor, POST /v1/events';
const ACK_ONE = 'acknowledge one by one, 1 connection';
const ACK_ON_ONE = `acknowledge ${String(BATCH_SIZE)} a call, 1 connection`;
const ACK_MANY = `acknowledge ${String(BATCH_SIZE)} a call, ${String(CLIENTS)} consumers`;

const LEASE_ON_ONE = `lease and settle ${String(BATCH_SIZE)} a call, 1 connection`;
const LEASE_MANY = `lease and settle ${String(BATCH_SIZE)} a call, ${String(CLIENTS)} consumers`;

/** How many events a drain has for each second that it should take, about. */
const DRAINED: Record<'embedded' | 'dynamodb', Readonly<Record<string, number>>> = {
  embedded: {
    [ACK_ONE]: 1_500,
    [ACK_ON_ONE]: 20_000,
    [ACK_MANY]: 25_000,
    [LEASE_ON_ONE]: 20_000,
    [LEASE_MANY]: 25_000,
  },
  dynamodb: { [ACK_ONE]: 100, [ACK_ON_ONE]: 500, [ACK_MANY]: 500, [LEASE_ON_ONE]: 200, [LEASE_MANY]: 200 },
};

const service = (setting: Setting) => setting.start();

const CONTESTS: readonly Contest[] = [
  {
    what: SINGLE,
    start: service,
    measure: (setting, server) => saturate(setting, server, 'create-v1', CROWD, 1),
  },
  {
    what: BATCH,
    start: service,
    measure: (setting, server) => saturate(setting, server, 'create-batch', CLIENTS, BATCH_SIZE),
    targets: [
      { to: SINGLE, atLeast: 3 },
      { to: FLOOR, atLeast: 0.6 },
    ],
  },
  {
    what: FLOOR,
    start: () => startFloor(),
    measure: (setting, server) => saturate(setting, server, 'create-v1', CROWD, 1),
  },
  { what: ACK_ONE, start: service, measure: drain(ACK_ONE, 1, 1) },
  {
    what: ACK_ON_ONE,
    start: service,
    measure: drain(ACK_ON_ONE, 1, BATCH_SIZE),
    targets: [{ to: ACK_ONE, atLeast: 20 }],
  },
  {
    what: ACK_MANY,
    start: service,
    measure: drain(ACK_MANY, CLIENTS, BATCH_SIZE),
    targets: [{ to: BATCH, atLeast: 1 }],
  },
  {
    what: LEASE_ON_ONE,
    start: service,
    measure: drain(LEASE_ON_ONE, 1, BATCH_SIZE, true),
    targets: [{ to: ACK_ONE, atLeast: 20 }],
  },
  {
    what: LEASE_MANY,
    start: service,
    measure: drain(LEASE_MANY, CLIENTS, BATCH_SIZE, true),
    targets: [{ to: BATCH, atLeast: 1 }],
  },
];

async function saturate(
  setting: Setting,
  server: Yardstick,
  traffic: string,
  clients: number,
  perCall: number,
): Promise<Measurement> {
  const measured = await measureOne(setting, server, { kind: 'saturate', traffic, clients });
  return {
    ...measured,
    requests: measured.requests * perCall,
    perSecond: measured.perSecond * perCall,
  };
}

function drain(what: string, clients: number, perCall: number, byLease = false): Contest['measure'] {
  return (setting, server) => {
    const rate = DRAINED[setting.store === 'embedded' ? 'embedded' : 'dynamodb'][what] ?? 1;
    const count = Math.min(setting.mostPending, rate * setting.times.seconds);
    return measureDrain({ ...address(server), clients, perCall, count, byLease }, loadPlace(setting));
  };
}

/** Targets are for the embedded store. */
async function batchSuite(setting: Setting): Promise<Row[]> {
  const contests = setting.store === 'embedded' ? CONTESTS : CONTESTS.filter(({ what }) => what !== FLOOR);
  const measured = await measureContest(setting, contests, ({ measure }, server) => measure(setting, server));
  const checked = setting.withTargets && setting.store === 'embedded';
  return contests.map(({ what, targets = [] }) => ({
    ...{ suite: 'batch', store: setting.storeLabel, what },
    ...measured(what),
    checks: checked ? targets.map((target) => checkRatio(measured(what), measured(target.to), target)) : [],
  }));
}
