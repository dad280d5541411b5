import t from 'tap';
import { createRequestTurns, trackCalls } from '../../../src/store/dynamodb/calls.ts';
import { createRetries } from '../../../src/store/dynamodb/retries.ts';
import type { Failed } from '../../../src/store/event-store.ts';
import { StoreOverloadedError, StoreUnavailableError } from '../../../src/store/store-errors.ts';

void t.test(
  '64 items of a call are under way at a time; results come in the order of the items',
  async (t) => {
    const calls = newCalls();
    const gauge = newGauge();
    const results = await calls.runMany('acme', numbers(500), async (item, { turn }) => {
      await turn(() => gauge.hold());
      return { outcome: String(item) };
    });
    t.strictSame(
      results,
      numbers(500).map((item) => ({ outcome: String(item) })),
    );
    t.equal(gauge.most(), 64);
    t.strictSame(await calls.runMany('acme', [], fails), []);
  },
);

void t.test(
  'calls for many wait for places where single calls would be refused, and leave some',
  async (t) => {
    const calls = newCalls();
    const gauge = newGauge();
    const many = Array.from({ length: 30 }, () =>
      calls.runMany('acme', numbers(100), async (_, { turn }) => {
        await turn(() => gauge.hold());
        return { outcome: 'done' };
      }),
    );
    const singles = Array.from({ length: 200 }, () => calls.run('acme', () => gauge.hold()));
    const results = await Promise.all(many);
    t.ok(results.flat().every(({ outcome }) => outcome === 'done'));
    await t.resolves(Promise.all(singles));
  },
);

void t.test('a call for many that finds no place at all is refused', async (t) => {
  const calls = newCalls();
  const { open, opened } = gate();
  const others = Array.from({ length: 1_000 }, () => calls.run('acme', () => opened));
  await t.rejects(calls.runMany('acme', [1], fails), StoreOverloadedError);
  open();
  await Promise.all(others);
  t.strictSame(await calls.runMany('acme', [1], () => Promise.resolve({ outcome: 'done' })), [
    { outcome: 'done' },
  ]);
});

void t.test('at the deadline, what was not sent is refused and never sent', async (t) => {
  const calls = newCalls(100);
  const { open, opened } = gate();
  let sent = 0;
  // They take all places for requests of one tenant but ten.
  const others = Array.from({ length: 214 }, () =>
    calls.run('acme', ({ turn }) => turn(() => opened)).catch(() => undefined),
  );
  const results = await calls.runMany('acme', numbers(200), async (_, { turn }) => {
    await turn(() => {
      sent += 1;
      return opened;
    });
    return { outcome: 'done' };
  });
  const errors = results.map((result) => (result as Failed).error);
  t.equal(errors.filter((error) => error instanceof StoreUnavailableError).length, 10);
  t.equal(errors.filter((error) => error instanceof StoreOverloadedError).length, 190);
  open();
  await Promise.all(others);
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(sent, 10, 'although there are places now');
});

void t.test('an item that fails fails alone', async (t) => {
  const results = await newCalls().runMany('acme', numbers(3), (item) =>
    item === 1 ? Promise.reject(new Error('odd')) : Promise.resolve({ outcome: 'done' }),
  );
  t.match(results, [
    { outcome: 'done' },
    { outcome: 'failed', error: { name: 'StoreUnavailableError', message: /odd/ } },
    { outcome: 'done' },
  ]);
});

function newCalls(callBudgetMs = 10_000) {
  return trackCalls({
    table: 'events',
    callBudgetMs,
    retries: createRetries({ clockMs: () => 0, random: () => 0 }),
    turns: createRequestTurns(),
    problem: () => undefined,
  });
}

function fails(): Promise<never> {
  return Promise.reject(new Error('not to be called'));
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number);
}

function gate() {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}

/** Counts who is inside. */
function newGauge() {
  let inside = 0;
  let most = 0;
  return {
    most: () => most,
    async hold() {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
    },
  };
}
