import type { Test } from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { Triggers } from '../../src/client/client.ts';
import { startRoughNetwork } from './rough-network.ts';

/** Marsaglia's xorshift: the same numbers in each run. */
function xorshift(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/**
 * Sends so many events through a network that has a fault for a tenth of what it carries, reads and acknowledges them through it, and
 * holds that each is there exactly once.
 */
export async function roughSends(t: Test, url: string, count: number): Promise<void> {
  const network = await startRoughNetwork(t, url, 0.1, xorshift(14));
  const triggers = new Triggers({
    baseUrl: network.url,
    apiKey: LOCAL_KEY,
    // Among thousands of calls some meet a row of five faults.
    maxRetries: 12,
    // What was dropped is not waited for as long as a user would.
    fetch: (input, init) => {
      const signals = [AbortSignal.timeout(500), ...(init?.signal ? [init.signal] : [])];
      return fetch(input, { ...init, signal: AbortSignal.any(signals) });
    },
  });
  const ids = new Map<number, string>();
  let replayed = 0;
  let next = 0;
  const sender = async (): Promise<void> => {
    for (let n = next++; n < count; n = next++) {
      const sent = await triggers.events.send({ source: 'rough', eventType: 'numbered', payload: { n } });
      ids.set(n, sent.eventId);
      if (sent.replayed) replayed++;
    }
  };
  await Promise.all(Array.from({ length: 32 }, sender));

  // What is really there, read past the network.
  const direct = new Triggers({ baseUrl: url, apiKey: LOCAL_KEY });
  const stored = new Map<string, number>();
  for await (const { eventId, payload } of direct.inbox.list<{ n: number }>({ limit: 100 })) {
    stored.set(eventId, payload.n);
  }
  t.equal(stored.size, count, 'as many events as were sent');
  t.equal(new Set(stored.values()).size, count, 'each of them');
  t.ok(
    [...ids].every(([n, id]) => stored.get(id) === n),
    'under the ids that the client got',
  );
  t.ok(replayed > 0, `${String(replayed)} answers were lost and came again`);
  for (const direction of ['request', 'answer']) {
    for (const kind of ['drop', 'delay', 'reset', 'cut']) {
      t.ok((network.counts[`${direction} ${kind}`] ?? 0) > 0, `${direction}s met: ${kind}`);
    }
  }
  t.comment(JSON.stringify(network.counts));

  let acknowledged = 0;
  for await (const page of triggers.inbox.list({ limit: 100 }).pages()) {
    await Promise.all(page.events.map(({ eventId }) => triggers.events.ack(eventId)));
    acknowledged += page.events.length;
  }
  t.equal(acknowledged, count, 'all acknowledged through the same network');
  t.same(await direct.inbox.list().next(), { done: true, value: undefined });
  await roughBatches(t, triggers, direct, count);
}

/** The same with lists of events: each is there exactly once, in the order of its list. */
async function roughBatches(t: Test, triggers: Triggers, direct: Triggers, count: number): Promise<void> {
  const size = 25;
  const lists = Array.from({ length: Math.ceil(count / size) }, (_, list) =>
    Array.from({ length: size }, (_, n) => ({
      ...{ source: 'rough', eventType: 'listed' },
      payload: { list, n },
    })),
  );
  const outcomes = await Promise.all(lists.map((list) => triggers.events.sendBatch(list)));
  t.ok(
    outcomes.every(({ results }) => results.every(({ eventId }) => eventId !== null)),
    'all lists were sent',
  );
  const stored: string[] = [];
  const order = new Map<number, number[]>();
  for await (const { eventId, payload } of direct.inbox.list<{ list: number; n: number }>({ limit: 100 })) {
    stored.push(eventId);
    order.set(payload.list, [...(order.get(payload.list) ?? []), payload.n]);
  }
  t.equal(stored.length, lists.length * size, 'as many events as were in the lists');
  for (const numbers of order.values())
    t.same(
      numbers,
      numbers.toSorted((a, b) => a - b),
    );
  t.same(
    new Set(outcomes.flatMap(({ results }) => results.map(({ eventId }) => eventId))),
    new Set(stored),
    'under the ids that the client got',
  );
  const { summary } = await triggers.events.ackMany(stored);
  t.equal((summary.acknowledged ?? 0) + (summary.already_acknowledged ?? 0), stored.length);
  t.same(await direct.inbox.list().next(), { done: true, value: undefined });
}
