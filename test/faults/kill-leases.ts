import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { startService } from '../support/process.ts';

const ROUNDS = 3;
const EVENTS = 500;
const CONSUMERS = 8;
/** Until what is released can be leased again: after the restart. */
const DELAY_SECONDS = 3;

interface Held {
  readonly token: string;
  readonly attempt: number;
}

/** What a consumer knows of an event. */
interface Known {
  /** By the last lease that it was told of. */
  attempts: number;
  /** A lease that runs and that nobody has settled. */
  held?: Held;
  /** It was answered that it is acknowledged. */
  acknowledged: boolean;
  /** A request about it was not answered: it may have been carried out. */
  unsure: boolean;
}

async function call(url: string, path: string, body: object): Promise<Record<string, unknown>> {
  const headers = { 'x-api-key': LOCAL_KEY, 'content-type': 'application/json' };
  const reply = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!reply.ok) throw new Error(`${path}: ${String(reply.status)}`);
  return (await reply.json()) as Record<string, unknown>;
}

interface Leased {
  readonly event_id: string;
  readonly lease: Held;
}

const lease = async (url: string, body: object): Promise<Leased[]> =>
  (await call(url, '/v1/inbox/lease', { lease_seconds: 600, ...body }))['events'] as Leased[];

/** Leases five at a time, and settles them by turns, until the service is gone. */
async function consume(url: string, known: Map<string, Known>): Promise<void> {
  let mine: Leased[] = [];
  for (;;) {
    const settled = mine.map(({ event_id: id, lease: { token } }, n) => ({ id, token, n }));
    const tokens = (...which: number[]) => settled.filter(({ n }) => which.includes(n));
    const settle = {
      ack: tokens(0, 1).map(({ token }) => token),
      release: [
        ...tokens(2).map(({ token }) => ({ token, delay_seconds: DELAY_SECONDS })),
        ...tokens(3).map(({ token }) => ({ token, failed: false, delay_seconds: DELAY_SECONDS })),
      ],
    };
    // What may be handed out is not known before the answer, so that any free event may be leased by a call that gets none.
    for (const { id } of tokens(0, 1, 2, 3)) of(known, id).unsure = true;
    try {
      const { events, settled: results } = await call(url, '/v1/inbox/lease', {
        ...{ limit: 5, lease_seconds: 600, settle },
      });
      for (const [index, { outcome }] of (results as { outcome: string }[]).entries()) {
        const { id, n } = tokens(0, 1, 2, 3)[index] ?? { id: '', n: 0 };
        const one = of(known, id);
        one.unsure = false;
        delete one.held;
        if (outcome === 'acknowledged') one.acknowledged = true;
        if (n === 3 && outcome === 'released') one.attempts -= 1;
      }
      mine = events as Leased[];
      for (const { event_id: id, lease } of mine) {
        Object.assign(of(known, id), { attempts: lease.attempt, held: lease });
      }
    } catch {
      return;
    }
  }
}

function of(known: Map<string, Known>, id: string): Known {
  const one = known.get(id) ?? { attempts: 0, acknowledged: false, unsure: false };
  known.set(id, one);
  return one;
}

void t.test('kill -9 in the middle of leases: they hold, and attempts too', async (t) => {
  for (let round = 1; round <= ROUNDS; round++) {
    const env = { DATA_DIR: t.testdir({ [String(round)]: {} }), MAX_ATTEMPTS: '0' };
    const service = await startService(t, env);
    const events = Array.from({ length: EVENTS }, (_, n) => ({
      ...{ source: 's', event_type: 't', payload: { n } },
    }));
    await call(service.url, '/v1/events/batch', { events });
    const known = new Map<string, Known>();
    const consumers = Array.from({ length: CONSUMERS }, () => consume(service.url, known));
    const done = () => [...known.values()].filter(({ acknowledged }) => acknowledged).length;
    while (done() < 40 * round) await sleep(1);
    service.child.kill('SIGKILL');
    t.equal(await service.ended, 'SIGKILL');
    await Promise.all(consumers);

    const again = await startService(t, env);
    await sleep(DELAY_SECONDS * 1000);
    const found = new Map<string, number>();
    for (let leased; (leased = await lease(again.url, { limit: 100 })).length > 0;) {
      for (const { event_id: id, lease } of leased) {
        if (found.has(id)) t.fail('an event is handed out twice');
        found.set(id, lease.attempt);
      }
    }
    let [held, counted] = [0, 0];
    for (const [id, one] of known) {
      const attempt = found.get(id);
      if (one.acknowledged && attempt !== undefined) t.fail('an acknowledged event comes again');
      if (one.unsure || one.acknowledged) continue;
      if (one.held !== undefined) {
        held++;
        if (attempt !== undefined) t.fail('a leased event is handed out');
        const answer = await call(again.url, '/v1/inbox/settle', { ack: [one.held.token] });
        t.match(answer['summary'], { acknowledged: 1 });
      } else if (attempt !== undefined) {
        counted++;
        t.equal(attempt, one.attempts + 1);
      }
    }
    t.ok(
      held > 0 && counted > 0,
      `round ${String(round)}: ${String(held)} held, ${String(counted)} came again`,
    );
    again.child.kill('SIGKILL');
    await again.ended;
  }
});
