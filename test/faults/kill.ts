import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { startService } from '../support/process.ts';

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

/** Sends batches one after the other, and acknowledges the first half of each, until the service is gone. */
async function produceAndConsume(url: string, client: number, seen: Seen): Promise<void> {
  const post = async (path: string, body: unknown) => {
    const response = await fetch(url + path, {
      method: 'POST',
      headers: HEADERS,
      body: JSON.stringify(body),
    });
    const { results } = (await response.json()) as { results: { event_id: string; outcome: string }[] };
    return results;
  };
  for (let n = 0; ; n++) {
    const batch = `${String(seen.round)}-${String(client)}-${String(n)}`;
    const event = { source: 'kill', event_type: 't', payload: { batch } };
    try {
      const created = await post('/v1/events/batch', { events: Array.from({ length: BATCH }, () => event) });
      const ids = created.map(({ event_id: id }) => id);
      seen.created.set(batch, ids);
      const half = ids.slice(0, BATCH / 2);
      half.forEach((id) => seen.asked.add(id));
      for (const { event_id: id, outcome } of await post('/v1/events/ack', { event_ids: half })) {
        if (outcome === 'acknowledged') seen.acknowledged.add(id);
      }
    } catch {
      return;
    }
  }
}

const BATCH = 40;

/** What the clients were told. */
interface Seen {
  round: number;
  /** Batches that were answered: the ids of their events. */
  readonly created: Map<string, readonly string[]>;
  /** Events whose acknowledgement was asked for, and those for which it was answered. */
  readonly asked: Set<string>;
  readonly acknowledged: Set<string>;
}

void t.test(
  'kill -9: a batch is there as a whole or not at all, and acknowledged stays acknowledged',
  async (t) => {
    const dataDir = t.testdir();
    const seen: Seen = { round: 0, created: new Map(), asked: new Set(), acknowledged: new Set() };
    for (seen.round = 1; seen.round <= 3; seen.round++) {
      const service = await startService(t, { DATA_DIR: dataDir });
      const before = seen.acknowledged.size;
      const clients = Array.from({ length: 8 }, (_, client) => produceAndConsume(service.url, client, seen));
      while (seen.acknowledged.size < before + 400 + seen.round * 97) await sleep(1);
      service.child.kill('SIGKILL');
      t.equal(await service.ended, 'SIGKILL');
      await Promise.all(clients);
    }
    const { url } = await startService(t, { DATA_DIR: dataDir });
    const found = await readAll(url);
    const inInbox = new Map<string, number>();
    for (const payload of found.values()) {
      const { batch } = JSON.parse(payload) as { batch: string };
      inInbox.set(batch, (inInbox.get(batch) ?? 0) + 1);
    }
    const back = [...seen.acknowledged].filter((id) => found.has(id));
    t.same(back, [], `none of ${String(seen.acknowledged.size)} acknowledged events came back`);
    const lost = [...seen.created.values()].flat().filter((id) => !seen.asked.has(id) && !found.has(id));
    t.same(lost, [], `nothing is lost of ${String(seen.created.size)} batches`);
    const unanswered = [...inInbox].filter(([batch]) => !seen.created.has(batch));
    t.same(
      unanswered.filter(([, events]) => events !== BATCH),
      [],
      'a batch without an answer is whole',
    );
  },
);
