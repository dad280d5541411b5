import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { LOCAL_KEY } from '../../../src/access/local.ts';
import { startService } from '../../support/process.ts';

const ROUNDS = 5;
const CLIENTS = 64;
const HEADERS = { 'x-api-key': LOCAL_KEY, 'content-type': 'application/json' };

/** Sends events one after the other until the service is gone; keeps those that got a 201. */
async function produce(url: string, client: number, acknowledged: Map<string, string>): Promise<void> {
  for (let n = 0; ; n++) {
    const payload = JSON.stringify({ client, n, fill: 'x'.repeat((client * 37) % 2_000) });
    const body = `{"source":"kill","event_type":"t","payload":${payload}}`;
    try {
      const response = await fetch(`${url}/v1/events`, { method: 'POST', headers: HEADERS, body });
      if (response.status !== 201) continue;
      const { event_id: id } = (await response.json()) as { event_id: string };
      acknowledged.set(id, payload);
    } catch {
      return;
    }
  }
}

async function readAll(url: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (let cursor: string | null = ''; cursor !== null;) {
    const response: Response = await fetch(`${url}/v1/inbox?limit=100${cursor && `&cursor=${cursor}`}`, {
      headers: HEADERS,
    });
    const page = (await response.json()) as {
      events: { event_id: string; payload: object }[];
      pagination: { next_cursor: string | null };
    };
    for (const event of page.events) found.set(event.event_id, JSON.stringify(event.payload));
    cursor = page.pagination.next_cursor;
  }
  return found;
}

void t.test('kill -9 in the middle of ingest loses no event that got a 201', async (t) => {
  const dataDir = t.testdir();
  const acknowledged = new Map<string, string>();
  for (let round = 1; round <= ROUNDS; round++) {
    const service = await startService(t, { DATA_DIR: dataDir, LOG_LEVEL: 'info' });
    const before = acknowledged.size;
    const producing = Array.from({ length: CLIENTS }, (_, client) =>
      produce(service.url, client, acknowledged),
    );
    // The process is killed at another moment in every round, and never before some events were acknowledged.
    while (acknowledged.size < before + 200 + round * 97) await sleep(1);
    service.child.kill('SIGKILL');
    t.equal(await service.ended, 'SIGKILL');
    await Promise.all(producing);
    t.ok(
      acknowledged.size > before + 200,
      `round ${String(round)}: ${String(acknowledged.size - before)} acknowledged`,
    );
  }
  const { url } = await startService(t, { DATA_DIR: dataDir });
  const found = await readAll(url);
  const lost = [...acknowledged].filter(([id, payload]) => found.get(id) !== payload);
  t.same(lost, [], `all ${String(acknowledged.size)} are there, of ${String(found.size)} stored`);
});
