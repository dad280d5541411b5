import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Lane } from '../../src/store/embedded/sweep-steps.ts';
import { takeStep } from '../../src/store/embedded/sweep-steps.ts';
import { entries, MARGIN, openRaw, openTestStore, TTL } from '../support/embedded.ts';

/** A lane of so many deletions, each of which takes so long. */
function fakeLane(count: number, clock: { ms: number }, ms: number) {
  let left = count;
  const lane = {
    isEmpty: () => left === 0,
    take(count: number) {
      const taken = Math.min(left, count);
      left -= taken;
      clock.ms += taken * ms;
    },
  } as Lane;
  return { lane, taken: () => count - left };
}

const steps = [
  { what: 'twice as much as was written', writes: 512, ms: 0, events: 5_000, wanted: [1_024, 1_024] },
  { what: 'as much as was written, however slow', writes: 512, ms: 1, events: 5_000, wanted: [512, 512] },
  { what: 'what there is', writes: 512, ms: 0, events: 40, wanted: [40, 1_024] },
  { what: 'for a while, where nobody waits', writes: Infinity, ms: 0.05, events: 5_000, wanted: [64, 64] },
];
for (const { what, writes, ms, events, wanted } of steps) {
  void t.test(`a step deletes ${what}`, (t) => {
    const clock = { ms: 0 };
    const lanes = [fakeLane(events, clock, ms), fakeLane(5_000, clock, ms)];
    takeStep(
      lanes.map(({ lane }) => lane),
      writes,
      () => clock.ms,
    );
    t.strictSame(
      lanes.map(({ taken }) => taken()),
      wanted,
    );
    t.end();
  });
}

type Opened = Awaited<ReturnType<typeof openTestStore>>;

/**
 * Callers that write one event after the other, each with a claim, until told to end.
 *
 * @param claimLife from an event to the end of its claim.
 * @param tick from an event to the next.
 */
function flood({ store, event, clock }: Opened, callers: number, claimLife: number, tick = 1) {
  const state = { appended: 0, isOver: false };
  const caller = async (number: number) => {
    for (let n = 0; !state.isOver; n++) {
      const createdAt = (clock.time += tick);
      const id = store.newId('acme', createdAt);
      const key = createHash('sha256').update(id).digest('hex');
      await store.append(event({ id, createdAt, payload: `{"text":"${'x'.repeat(500)}"}` }), {
        ...{ key, fingerprint: key, expiresAt: createdAt + claimLife },
      });
      if ((n + number) % 3 === 0) await store.acknowledge('acme', id, clock.time);
      state.appended++;
    }
  };
  return { state, ended: Promise.all(Array.from({ length: callers }, (_, number) => caller(number))) };
}

void t.test('the sweep keeps up with 2,000 callers, events and claims alike', async (t) => {
  const path = t.testdir();
  const opened = await openTestStore(t, path);
  const { store, clock } = opened;
  const first = flood(opened, 2_000, 1);
  while (first.state.appended < 20_000) await new Promise((resolve) => setImmediate(resolve));
  first.state.isOver = true;
  await first.ended;
  const old = first.state.appended;
  clock.time += TTL + MARGIN;
  const second = flood(opened, 2_000, 4 * TTL);
  const swept = await store.sweep();
  const appended = second.state.appended;
  second.state.isOver = true;
  await second.ended;
  t.equal(swept, old);
  t.ok(appended < 3 * old, `${String(appended)} written while ${String(old)} were swept`);
  const raw = openRaw(t, path);
  t.equal(entries(raw.events).length, second.state.appended);
  t.equal(entries(raw.claims).length, second.state.appended);
});

// A week at 10,000 events a second, scaled down: time goes on by the events, and from one to its deletion come 8,000 more.
void t.test('the file stops growing once as much expires as comes', async (t) => {
  const path = t.testdir();
  const [week, lifetime] = [7 * 86_400e6, 8_000];
  const opened = await openTestStore(t, path, { eventTtl: week });
  const { state, ended } = flood(opened, 500, week / 2, (week + MARGIN) / lifetime);
  const sizes: number[] = [];
  for (let lifetimes = 1; lifetimes <= 10; lifetimes++) {
    while (state.appended < lifetimes * lifetime) {
      // Not awaited: each event that comes makes another one expire, so that a run need not end before the flood does.
      void opened.store.sweep();
      await new Promise((resolve) => setImmediate(resolve));
    }
    sizes.push(statSync(join(path, 'store.mdb')).size);
  }
  state.isOver = true;
  await ended;
  await opened.store.sweep();
  const [after = NaN, last = NaN] = [sizes[3], sizes.at(-1)];
  t.ok(last < 1.3 * after, sizes.map((size) => (size / 1e6).toFixed(1)).join(', '));
});
