import { randomUUID } from 'node:crypto';
import { LOADER, startServer } from './harness/process.ts';
import type { Measurement, Target } from './load/job.ts';
import type { RatioTarget, Row } from './results.ts';
import { checkRatio } from './results.ts';
import type { Setting } from './setting.ts';
import { CROWD, measureOne } from './setting.ts';

/** Something that takes `POST /v1/events`, in a fresh process. */
interface Contestant {
  readonly what: string;
  readonly start: (setting: Setting) => Promise<Target & { stop(): Promise<void> }>;
}

const SERVICE: Contestant = { what: 'service', start: (setting) => setting.start() };
const FLOOR = floor('floor', []);
const FLOOR_WITH_LMDB = floor('floor with LMDB', ['--lmdb']);
const PLAIN = plain('plain design', []);
const PLAIN_WITHOUT_BCRYPT = plain('plain, no bcrypt', ['--no-bcrypt']);

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
export async function ingestSuite(setting: Setting): Promise<Row[]> {
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
  }));
}

function floor(what: string, args: readonly string[]): Contestant {
  return { what, start: () => startFloor(args) };
}

/** A bare uWebSockets.js. */
export async function startFloor(args: readonly string[] = []): Promise<Target & { stop(): Promise<void> }> {
  const script = [LOADER, 'bench/yardsticks/floor.ts', ...args];
  return { key: 'none', ...(await startServer(script, { place: 'server' })) };
}

function plain(what: string, args: readonly string[]): Contestant {
  return {
    what,
    async start({ dynamodb }) {
      const key = randomUUID();
      const env = {
        DYNAMODB_ENDPOINT_URL: dynamodb?.endpoint ?? '',
        TABLE: `bench-plain-${randomUUID()}`,
        API_KEY: key,
      };
      return {
        key,
        ...(await startServer([LOADER, 'bench/yardsticks/plain.ts', ...args], { place: 'any', env })),
      };
    },
  };
}
