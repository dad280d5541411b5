import type { Measurement } from '../load/job.ts';
import type { RatioTarget, Row } from '../report/results.ts';
import { checkRatio } from '../report/results.ts';
import type { Yardstick } from '../yardsticks/start.ts';
import { startFloor, startPlain } from '../yardsticks/start.ts';
import type { Setting } from './setting.ts';
import { CROWD, measureOne } from './setting.ts';
import type { Suite } from './suite.ts';
import { EVERYWHERE } from './suite.ts';

export const ingest: Suite = {
  name: 'ingest',
  about: `POST /v1/events, ${String(CROWD)} clients as fast as they are answered, beside yardsticks`,
  on: EVERYWHERE,
  run: ingestSuite,
};

/** Something that takes `POST /v1/events`, in a fresh process. */
interface Contestant {
  readonly what: string;
  readonly start: (setting: Setting) => Promise<Yardstick>;
}

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

/**
 * How many events go through, of the service and of what it is measured by. They take turns, forwards and backwards, so
 * that what slows the machine down for a while slows all of them.
 */
async function ingestSuite(setting: Setting): Promise<Row[]> {
  const contestants = CONTESTANTS[setting.store];
  const rounds = new Map(contestants.map(({ what }) => [what, [] as Measurement[]]));
  for (let round = 0; round < setting.rounds; round++) {
    for (const contestant of round % 2 === 0 ? contestants : contestants.toReversed()) {
      setting.progress(`${contestant.what}, round ${String(round + 1)} of ${String(setting.rounds)}`);
      const server = await contestant.start(setting);
      try {
        const load = { kind: 'saturate', traffic: 'create-v1', clients: CROWD } as const;
        rounds.get(contestant.what)?.push(await measureOne(setting, server, load));
      } finally {
        await server.stop();
      }
    }
  }
  const measured = (what: string) => ({ rounds: rounds.get(what) ?? [] });
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
