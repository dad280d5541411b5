import type { RatioTarget, Row } from '../report/results.ts';
import { checkRatio } from '../report/results.ts';
import { startFloor, startPlain } from '../yardsticks/start.ts';
import type { Setting } from './setting.ts';
import { CROWD, measureOne } from './setting.ts';
import type { Contestant, Suite } from './suite.ts';
import { EVERYWHERE, measureContest } from './suite.ts';

export const ingest: Suite = {
  name: 'ingest',
  about: `POST /v1/events, ${String(CROWD)} clients as fast as they are answered, beside yardsticks`,
  on: EVERYWHERE,
  run: ingestSuite,
};

const endpointOf = ({ dynamodb }: Setting) => dynamodb?.endpoint ?? '';
const SERVICE: Contestant = { what: 'service', start: (setting) => setting.start() };
const FLOOR: Contestant = { what: 'floor', start: () => startFloor() };
const FLOOR_WITH_LMDB: Contestant = { what: 'floor with LMDB', start: () => startFloor(['--lmdb']) };
const PLAIN: Contestant = { what: 'plain design', start: (setting) => startPlain(endpointOf(setting)) };
const PLAIN_WITHOUT_BCRYPT: Contestant = {
  what: 'plain, no bcrypt',
  start: (setting) => startPlain(endpointOf(setting), ['--no-bcrypt']),
};

const CONTESTANTS: Record<Setting['store'], readonly Contestant[]> = {
  embedded: [SERVICE, FLOOR, FLOOR_WITH_LMDB],
  dynamodb: [SERVICE, PLAIN, PLAIN_WITHOUT_BCRYPT],
  remote: [SERVICE],
};

/** Of the service. */
const TARGETS: Record<Setting['store'], readonly RatioTarget[]> = {
  embedded: [
    { to: FLOOR.what, atLeast: 0.25 },
    { to: FLOOR_WITH_LMDB.what, atLeast: 0.7 },
  ],
  dynamodb: [
    { to: PLAIN.what, atLeast: 60 },
    { to: PLAIN_WITHOUT_BCRYPT.what, atLeast: 4 },
  ],
  remote: [],
};

/** How many events go through, of the service and of what it is measured by. */
async function ingestSuite(setting: Setting): Promise<Row[]> {
  const contestants = CONTESTANTS[setting.store];
  const load = { kind: 'saturate', traffic: 'create-v1', clients: CROWD } as const;
  const measured = await measureContest(setting, contestants, (_, server) =>
    measureOne(setting, server, load),
  );
  const targets = setting.withTargets ? TARGETS[setting.store] : [];
  return contestants.map(({ what }) => ({
    suite: 'ingest',
    store: setting.storeLabel,
    what,
    ...measured(what),
    checks:
      what === SERVICE.what
        ? targets.map((target) => checkRatio(measured(what), measured(target.to), target))
        : [],
    // The service's rate is a point of the plot of `clients`.
    ...(what === SERVICE.what && { at: CROWD }),
  }));
}
