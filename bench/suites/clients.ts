import type { Row } from '../report/results.ts';
import type { Setting } from './setting.ts';
import type { Suite } from './suite.ts';
import { HERE, measureInTurns } from './suite.ts';

/** What more of them get is the suite `ingest`. */
const CLIENTS = [1, 4, 16, 64];

export const clients: Suite = {
  name: 'clients',
  about: 'POST /v1/events: rate and latency against the number of clients',
  on: HERE,
  run: clientsSuite,
};

async function clientsSuite(setting: Setting): Promise<Row[]> {
  const rows: Row[] = [];
  for (const clients of CLIENTS) {
    const service = await setting.start();
    try {
      const load = { kind: 'saturate', traffic: 'create-v1', clients } as const;
      const what = `${String(clients)} clients`;
      const measures = [{ what, load, at: clients }];
      rows.push(...(await measureInTurns(setting, 'clients', service, measures)));
    } finally {
      await service.stop();
    }
  }
  return rows;
}
