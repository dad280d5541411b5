import { createAgent, send, type Answer } from '../../bench/load/send.ts';
import { LOCAL_KEY } from '../../src/access/local.ts';

/** Events and acknowledgements that got their 2xx, and what did not. */
export interface Ledger {
  /** Ids by the mark in the payload. */
  readonly created: Map<string, string>;
  readonly acknowledged: Set<string>;
  /** Acknowledgements that failed: they may have been carried out. */
  readonly unsure: Set<string>;
  readonly failures: string[];
  /** Milliseconds from when a request was due to its whole reply. */
  readonly latencies: number[];
}

export interface Load {
  readonly ledger: Ledger;
  /** Sends nothing more; resolves when everything is answered. */
  stop(): Promise<void>;
}

/** Of each eleven requests: four events, half of them with an idempotency key, one of these sent twice. */
const MIX = 'ckaagickagr';
/**
 * Beside each of them, so many that need no store: there must be requests under way when a connection ends. They are refused POSTs,
 * because proxies send what else fails to the other instance.
 */
const CHEAP = 4;

const TICK_MS = 5;

/**
 * An open loop of producers and consumers: a request starts when it is due, whatever became of those before it.
 *
 * @param perSecond of requests that need the store.
 */
export function startLoad(url: string, perSecond: number): Load {
  const ledger: Ledger = {
    created: new Map(),
    acknowledged: new Set(),
    unsure: new Set(),
    failures: [],
    latencies: [],
  };
  const client = createClient(url, ledger);
  const underWay = new Set<Promise<unknown>>();
  const start = performance.now();
  const every = 1000 / (perSecond * (1 + CHEAP));
  let sent = 0;
  const timer = setInterval(() => {
    for (; start + sent * every <= performance.now(); sent++) {
      const due = start + sent * every;
      const kind = sent % (1 + CHEAP) === 0 ? MIX[(sent / (1 + CHEAP)) % MIX.length] : 'x';
      const request = client(kind ?? '').then(() => {
        ledger.latencies.push(performance.now() - due);
        underWay.delete(request);
      });
      underWay.add(request);
    }
  }, TICK_MS);
  return {
    ledger,
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
    },
  };
}

/** One request of a kind, written into the ledger. Never rejects. */
function createClient(url: string, ledger: Ledger): (kind: string) => Promise<void> {
  const target = { url, key: LOCAL_KEY };
  const agent = createAgent(url);
  const pending: string[] = [];
  let marks = 0;
  let lastKeyed: { mark: string; body: string } | undefined;

  const ask = async (
    method: 'GET' | 'POST',
    path: string,
    status: number,
    body = '',
  ): Promise<Answer | undefined> => {
    try {
      const answer = await send(agent, target, { method, path, body });
      if (answer.status === status) return answer;
      ledger.failures.push(`${method} ${path}: ${String(answer.status)} ${answer.body.slice(0, 300)}`);
    } catch (error) {
      ledger.failures.push(`${method} ${path}: ${String(error)}`);
    }
    return undefined;
  };
  const create = async (mark: string, body: string): Promise<void> => {
    const answer = await ask('POST', '/v1/events', 201, body);
    if (answer === undefined) return;
    const { event_id: id } = JSON.parse(answer.body) as { event_id: string };
    const known = ledger.created.get(mark);
    if (known === undefined) pending.push(id);
    else if (known !== id) ledger.failures.push(`${mark} is two events: ${known} and ${id}`);
    ledger.created.set(mark, id);
  };
  return async (kind) => {
    if (kind === 'x') {
      await ask('POST', '/v1/events', 400, '{}');
      return;
    }
    const mark = `m${String(marks++)}`;
    if (kind === 'c') await create(mark, eventBody(mark));
    else if (kind === 'k') {
      lastKeyed = { mark, body: eventBody(mark, mark) };
      await create(lastKeyed.mark, lastKeyed.body);
    } else if (kind === 'r') {
      if (lastKeyed) await create(lastKeyed.mark, lastKeyed.body);
    } else if (kind === 'i') await ask('GET', '/v1/inbox?limit=10', 200);
    else if (kind === 'g') {
      const id = pending.at(-1);
      if (id !== undefined) await ask('GET', `/v1/events/${id}`, 200);
    } else {
      const id = pending.shift();
      if (id === undefined) return;
      const { acknowledged, unsure } = ledger;
      ((await ask('POST', `/v1/events/${id}/ack`, 200)) ? acknowledged : unsure).add(id);
    }
  };
}

export function eventBody(mark: string, key?: string): string {
  const metadata = key === undefined ? {} : { metadata: { idempotency_key: key } };
  return JSON.stringify({ source: 'roll', event_type: 'marked', payload: { mark }, ...metadata });
}

/** What is wrong with what the service holds, compared with what it said. */
export async function compare(url: string, { created, acknowledged, unsure }: Ledger): Promise<string[]> {
  const target = { url, key: LOCAL_KEY };
  const agent = createAgent(url, 16);
  const wrong: string[] = [];
  const ids = [...created.values()].filter((id) => !unsure.has(id));
  await Promise.all(
    ids.map(async (id) => {
      const { status, body } = await send(agent, target, { method: 'GET', path: `/v1/events/${id}` });
      const found = status === 200 ? (JSON.parse(body) as { status: string }).status : String(status);
      if (found !== (acknowledged.has(id) ? 'acknowledged' : 'pending')) wrong.push(`${id} is ${found}`);
    }),
  );
  const shown = new Map<string, string[]>();
  for (let cursor: string | null = ''; cursor !== null;) {
    const path: string = `/v1/inbox?limit=100${cursor && `&cursor=${cursor}`}`;
    const page = JSON.parse((await send(agent, target, { method: 'GET', path })).body) as Page;
    for (const { event_id: id, payload } of page.events) {
      shown.set(payload.mark, [...(shown.get(payload.mark) ?? []), id]);
    }
    cursor = page.pagination.next_cursor;
  }
  agent.destroy();
  for (const [mark, id] of created) {
    const expected = acknowledged.has(id) ? '' : id;
    const found = (shown.get(mark) ?? []).join(' and ');
    if (found !== expected && !unsure.has(id))
      wrong.push(`${mark} is in the inbox as "${found}", not as "${expected}"`);
    shown.delete(mark);
  }
  for (const mark of shown.keys()) wrong.push(`${mark} is in the inbox, but got no 201`);
  return wrong;
}

interface Page {
  readonly events: readonly { readonly event_id: string; readonly payload: { readonly mark: string } }[];
  readonly pagination: { readonly next_cursor: string | null };
}
