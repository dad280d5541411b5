import { fill } from '../harness/load.ts';
import type { Row } from '../report/results.ts';
import type { Setting } from './setting.ts';
import { address, loadPlace } from './setting.ts';
import type { Measure, Suite } from './suite.ts';
import { below, closed, EVERYWHERE, HERE, latencySuite, measureInTurns } from './suite.ts';

const PENDING = 10_000;
/** "Flat up to 1,000,000 pending"; `inbox` has `PENDING`. An emulator would take hours to be filled. */
const BACKLOGS = { embedded: [1_000, 100_000, 1_000_000], dynamodb: [1_000, 30_000] };

const targets = {
  embedded: [below('p95', 10)],
  dynamodb: [below('p95', 60)],
  remote: [below('p95', 200)],
};
const pages: readonly Measure[] = [
  { what: 'GET /v1/inbox', load: closed('inbox-v1', 4), targets },
  { what: 'GET /inbox', load: closed('inbox-unversioned', 4), targets },
];

export const inbox = latencySuite(
  {
    name: 'inbox',
    about: 'pages of 50 events at 10,000 pending, 4 clients',
    on: EVERYWHERE,
    pending: PENDING,
  },
  pages.map((page) => ({ ...page, at: PENDING })),
);

export const walk = latencySuite(
  {
    name: 'walk',
    about: 'the pages of 50 of a walk through 10,000 pending, 1 client',
    on: EVERYWHERE,
    pending: PENDING,
  },
  [{ what: 'GET /v1/inbox?cursor', load: closed('walk-v1', 1), targets }],
);

export const backlog: Suite = {
  name: 'backlog',
  about: 'pages of 50 events against events pending',
  on: HERE,
  run: backlogSuite,
};

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
      const measures = pages.map((page) => ({
        ...page,
        at: size,
        what: `${page.what}, ${String(size)} pending`,
      }));
      rows.push(...(await measureInTurns(setting, 'backlog', service, measures)));
    }
  } finally {
    await service.stop();
  }
  return rows;
}
