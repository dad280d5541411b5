import t from 'tap';
import { StoreOverloadedError, StoreUnavailableError } from '../../../src/store/store-errors.ts';
import {
  createGroupCommit,
  type GroupCommitLimits,
  type Verdict,
} from '../../../src/store/dynamodb/group-commit.ts';
import { createRetries, type Retries } from '../../../src/store/dynamodb/retries.ts';

const DEADLINE = 1_800;

/** The longest pause before single puts. */
const PAUSE = 40;

const LIMITS: GroupCommitLimits = {
  batchItems: 25,
  batchBytes: 1_000,
  slots: 16,
  queuedItems: 1_000,
  queuedBytes: 100_000,
  singles: 100,
  singlesPauseMs: PAUSE,
  backoffMs: 50,
  backoffCapMs: 400,
};

const UNLIMITED = { take: () => true, give: () => undefined };

void t.test('an item that comes while nothing is under way is sent at once, alone', async (t) => {
  const world = newWorld();
  const a = world.add('a');
  t.strictSame(world.sent(), ['a']);
  world.answer(0);
  t.equal(await a, 'stored');
  const b = world.add('b');
  t.strictSame(world.sent(), ['a', 'b'], 'no timer has to run first');
  world.answer(1);
  t.equal(await b, 'stored');
});

void t.test('items of the same moment are sent together, a full batch even before its end', async (t) => {
  const world = newWorld({ batchItems: 3 });
  const answers = [world.add('a'), world.add('b')];
  t.equal(world.batches.length, 0);
  t.strictSame(world.sent(), ['ab']);
  answers.push(...['c', 'd', 'e', 'f'].map((item) => world.add(item)));
  t.equal(world.batches.length, 2, 'cde waits for nothing');
  world.answer(0);
  world.answer(1);
  await world.turn();
  world.answer(2);
  t.strictSame(await Promise.all(answers), Array(6).fill('stored'));
  t.strictSame(world.sent(), ['ab', 'cde', 'f']);
});

void t.test('items that come while a partial batch is under way form the next batch', async (t) => {
  const world = newWorld();
  void world.add('a');
  t.strictSame(world.sent(), ['a']);
  void world.add('b');
  t.strictSame(world.sent(), ['a']);
  void world.add('c');
  t.strictSame(world.sent(), ['a']);
  world.answer(0);
  await world.turn();
  t.strictSame(world.sent(), ['a', 'bc']);
});

void t.test('a full batch is sent at once, beside others, up to the number of slots', async (t) => {
  const world = newWorld({ batchItems: 3, slots: 3 });
  void world.add('a');
  world.moment();
  world.addEach('bcd efg hij k');
  t.strictSame(world.sent(), ['a', 'bcd', 'efg'], 'the fourth finds no slot');
  world.answer(1);
  await world.turn();
  t.strictSame(world.sent(), ['a', 'bcd', 'efg', 'hij'], 'k waits for the partial batch to end');
  world.answer(0);
  await world.turn();
  t.strictSame(world.sent(), ['a', 'bcd', 'efg', 'hij', 'k']);
});

void t.test('64 callers that write again as soon as they are answered fill their batches', async (t) => {
  const world = newWorld({ batchItems: 25, slots: 16 });
  let events = 0;
  const caller = async () => {
    while (events < 6_400) {
      events += 1;
      await world.add('x');
    }
  };
  const callers = Array.from({ length: 64 }, caller);
  // The transport answers in the order of the requests, one at a time.
  for (let answered = 0; events < 6_400 || answered < world.batches.length; answered++) {
    world.answer(answered);
    await world.turn();
  }
  await Promise.all(callers);
  t.equal(world.batches.flat().length, 6_400);
  t.ok(events / world.batches.length >= 15, `${(events / world.batches.length).toFixed(1)} events a batch`);
});

void t.test('a batch can be full by bytes, and an item beyond the limit is sent alone', async (t) => {
  const world = newWorld({ batchBytes: 10, slots: 5 }, { bytesOf: { a: 4, b: 4, c: 4, d: 50, e: 6, f: 4 } });
  void world.add('x');
  world.moment();
  world.addEach('abc');
  t.strictSame(world.sent(), ['x', 'ab'], 'c would be too much');
  world.addEach('def');
  await world.turn();
  t.strictSame(world.sent(), ['x', 'ab', 'c', 'd', 'ef']);
});

void t.test('unprocessed items are sent again after a jittered pause, first, and hold no slot', async (t) => {
  const world = newWorld({ batchItems: 3, slots: 1, backoffMs: 100 }, { random: 0.5 });
  const first = world.add('a');
  world.moment();
  world.addEach('bcd');
  world.answer(0);
  await world.turn();
  t.equal(await first, 'stored');
  t.strictSame(world.sent(), ['a', 'bcd']);
  world.answer(1, 'cd');
  await world.turn();
  world.addEach('e');
  t.strictSame(world.sent(), ['a', 'bcd', 'e'], 'the only slot is free meanwhile');
  world.addEach('fg');
  world.advance(74);
  world.answer(2);
  await world.turn();
  t.strictSame(world.sent(), ['a', 'bcd', 'e', 'fg'], 'not yet: 100 ms x (0.5 + 0.5 / 2)');
  world.addEach('hi');
  world.advance(1);
  world.answer(3);
  await world.turn();
  t.strictSame(world.sent(), ['a', 'bcd', 'e', 'fg', 'cdh'], 'at the head of the queue');
});

void t.test('each further retry waits up to twice as long, up to the cap', async (t) => {
  const world = newWorld({ backoffMs: 100, backoffCapMs: 250 }, { random: 0.999999 });
  void world.add('a');
  for (const pause of [100, 200, 250, 250]) {
    const before = world.sent().length;
    world.answer(before - 1, 'a');
    await world.turn();
    world.advance(pause - 1);
    t.equal(world.sent().length, before, `before ${String(pause)} ms`);
    world.advance(1);
    t.equal(world.sent().length, before + 1, `after ${String(pause)} ms`);
  }
});

void t.test('a batch that was throttled as a whole is sent again', async (t) => {
  const world = newWorld();
  const a = world.add('a');
  world.fail(0, 'retry');
  await world.turn();
  world.advance(100);
  t.strictSame(world.sent(), ['a', 'a']);
  world.answer(1);
  t.equal(await a, 'stored');
});

void t.test('after an unclear end every item is put singly, none without condition again', async (t) => {
  const world = newWorld();
  const answers = [world.add('x')];
  world.moment();
  answers.push(world.add('a'), world.add('b'), world.add('c'));
  world.answer(0);
  await world.turn();
  world.fail(1, 'singly');
  await world.turn();
  world.advance(PAUSE / 2 - 1);
  await world.turn();
  t.strictSame(world.singles, [], 'not at once: whatever failed may need a moment');
  await world.pauseBeforeSingles();
  t.strictSame(world.singles, ['a', 'b', 'c']);
  for (const item of 'abc') world.answerSingle(item);
  t.strictSame(await Promise.all(answers), ['stored', 'stored', 'stored', 'stored']);
  world.advance(DEADLINE);
  t.strictSame(world.sent(), ['x', 'abc']);
});

void t.test(
  'whatever happens to an item, it is never sent again once it may have been applied',
  async (t) => {
    // Every sequence of four ends of a request.
    const ends = ['answer', 'unprocessed', 'retry', 'singly', 'fail', 'hang'] as const;
    for (let code = 0; code < ends.length ** 4; code++) {
      const world = newWorld({ backoffMs: 10, backoffCapMs: 10 });
      void world.add('a');
      let perhapsApplied = false;
      for (let step = 0; step < 4; step++) {
        const at = world.sent().length - 1;
        const end = ends[Math.floor(code / ends.length ** step) % ends.length];
        if (world.batches.length > step) {
          if (end === 'answer') world.answer(at);
          else if (end === 'unprocessed') world.answer(at, 'a');
          else if (end !== 'hang' && end !== undefined) world.fail(at, end);
          perhapsApplied ||= end === 'answer' || end === 'singly';
        }
        await world.turn();
        world.advance(end === 'hang' ? DEADLINE : 10);
        await world.turn();
        if (perhapsApplied && world.sent().length > at + 1) t.fail(`sent again after ${String(end)}`);
      }
    }
    t.pass();
  },
);

void t.test('while single puts go on, the next partial batch does not wait for them', async (t) => {
  const world = newWorld();
  void world.add('a');
  world.fail(0, 'singly');
  await world.turn();
  await world.pauseBeforeSingles();
  void world.add('b');
  t.strictSame(world.sent(), ['a', 'b']);
});

void t.test('an item that fails rejects only its caller', async (t) => {
  const world = newWorld();
  void world.add('x');
  world.moment();
  const [a, b, c] = [world.add('a'), world.add('b'), world.add('c')];
  world.answer(0);
  await world.turn();
  world.fail(1, 'singly');
  await world.turn();
  await world.pauseBeforeSingles();
  world.answerSingle('a');
  world.failSingle('b', new Error('too large'));
  world.answerSingle('c');
  t.strictSame(await Promise.all([a, b, c]), ['stored', 'Error: too large', 'stored']);
});

void t.test('a request that was refused for good rejects all its callers with the reason', async (t) => {
  const world = newWorld();
  const a = world.add('a');
  world.fail(0, 'fail');
  t.equal(await a, 'Error: fail');
  t.strictSame(world.singles, []);
});

void t.test('at the deadline a caller learns whether its item may have been stored', async (t) => {
  const world = newWorld({ slots: 1 });
  const sent = world.add('a');
  world.moment();
  const waiting = world.add('b');
  world.advance(DEADLINE);
  t.match(await sent, /^StoreUnavailableError/);
  t.match(await waiting, /^StoreOverloadedError/);
  world.answer(0);
  await world.turn();
  t.strictSame(world.sent(), ['a'], 'b is not sent any more');
});

void t.test(
  'an item that is throttled until its deadline is an overload, and is not sent afterwards',
  async (t) => {
    const world = newWorld({ backoffMs: 1_000, backoffCapMs: 1_000 }, { random: 0.999999 });
    const a = world.add('a');
    world.advance(DEADLINE - 500);
    world.fail(0, 'retry');
    await world.turn();
    world.advance(500);
    t.match(await a, /^StoreOverloadedError/);
    world.advance(1_000);
    t.strictSame(world.sent(), ['a']);
  },
);

void t.test('a caller whose deadline has passed does not disturb others in its batch', async (t) => {
  const world = newWorld();
  void world.add('x');
  world.moment();
  const early = world.add('a', 100);
  const late = world.add('b');
  world.answer(0);
  await world.turn();
  world.advance(100);
  t.match(await early, /^StoreUnavailableError/);
  t.equal(world.deadlines[1], DEADLINE, 'the request may take as long as somebody waits for it');
  world.fail(1, 'singly');
  await world.turn();
  await world.pauseBeforeSingles();
  t.strictSame(world.singles, ['b'], 'nobody waits for a');
  world.answerSingle('b');
  t.equal(await late, 'stored');
});

void t.test('a full queue refuses, by items and by bytes, until they are settled', async (t) => {
  const byItems = newWorld({ queuedItems: 3, slots: 1 });
  void byItems.add('a');
  byItems.moment();
  const waiting = byItems.add('b');
  void byItems.add('c');
  t.match(await byItems.add('d'), /^StoreOverloadedError/);
  byItems.fail(0, 'retry');
  await byItems.turn();
  t.strictSame(byItems.sent(), ['a', 'bc']);
  t.match(await byItems.add('e'), /^StoreOverloadedError/, 'a in backoff, b and c under way');
  byItems.answer(1);
  t.equal(await waiting, 'stored');
  void byItems.add('f');
  void byItems.add('g');
  t.match(await byItems.add('h'), /^StoreOverloadedError/, 'a in backoff, f and g');

  const byBytes = newWorld({ queuedBytes: 11, slots: 1 }, { bytesOf: { b: 6, c: 5, d: 4 } });
  void byBytes.add('a');
  byBytes.moment();
  void byBytes.add('b');
  t.match(await byBytes.add('c'), /^StoreOverloadedError/);
  void byBytes.add('d');
  byBytes.answer(0);
  await byBytes.turn();
  t.strictSame(byBytes.sent(), ['a', 'bd']);
});

void t.test('room becomes free when callers give up', async (t) => {
  const world = newWorld({ queuedItems: 2, slots: 1 });
  void world.add('a');
  world.moment();
  void world.add('b', 100);
  t.match(await world.add('c'), /^StoreOverloadedError/);
  world.advance(100);
  void world.add('d');
  world.answer(0);
  await world.turn();
  t.strictSame(world.sent(), ['a', 'd']);
});

void t.test('single puts of all batches together are bounded', async (t) => {
  const world = newWorld({ batchItems: 4, singles: 3 });
  world.addEach('abcd efgh');
  world.fail(0, 'singly');
  world.fail(1, 'singly');
  await world.turn();
  await world.pauseBeforeSingles();
  t.strictSame(world.singles, ['a', 'b', 'c']);
  world.answerSingle('b');
  world.failSingle('c', new Error('no answer'));
  await world.turn();
  t.strictSame(world.singles, ['a', 'b', 'c', 'd', 'e']);
  world.advance(DEADLINE);
  for (const item of 'ade') world.answerSingle(item);
  await world.turn();
  t.strictSame(world.singles, ['a', 'b', 'c', 'd', 'e'], 'nobody waits for the others any more');
});

void t.test('single puts take from the budget of retries, and stored items give back', async (t) => {
  const budget = createRetries({ clockMs: () => 0, random: () => 0 });
  while (budget.take(1));
  budget.give(2);
  const world = newWorld({ batchItems: 4 }, { budget });
  const answers = ['a', 'b', 'c', 'd'].map((item) => world.add(item));
  world.fail(0, 'singly');
  await world.turn();
  await world.pauseBeforeSingles();
  t.strictSame(world.singles, ['a', 'b'], 'no more than the budget allows');
  t.match(await answers[2], /^StoreUnavailableError/, 'it may be stored');
  t.match(await answers[3], /^StoreUnavailableError/);
  world.failSingle('a', new Error('no answer'));
  world.answerSingle('b');
  await world.turn();
  t.strictSame([budget.take(1), budget.take(1)], [true, false], 'of the one that worked');

  world.addEach('efgh');
  world.answer(1, 'h');
  await world.turn();
  t.strictSame([budget.take(3), budget.take(1)], [true, false], 'of the three that were stored');
});

void t.test(
  'a batch that was not sent is sent again as a batch; in the end the store is unreachable',
  async (t) => {
    const world = newWorld({ backoffMs: 100, backoffCapMs: 100 });
    const [a, b] = [world.add('a'), world.add('b', 120)];
    world.fail(0, 'unreached');
    await world.turn();
    world.advance(50);
    t.strictSame(world.sent(), ['ab', 'ab']);
    world.fail(1, 'unreached');
    await world.turn();
    world.advance(70);
    t.match(await b, /^StoreUnavailableError/);
    t.strictSame(world.sent(), ['ab', 'ab', 'a']);
    world.answer(2);
    t.equal(await a, 'stored');
    t.strictSame(world.singles, []);
  },
);

void t.test('an item whose deadline has passed already is refused, and never sent', async (t) => {
  const world = newWorld();
  world.advance(500);
  t.match(await world.add('a', 500), /^StoreOverloadedError/);
  t.strictSame(world.sent(), []);
  await world.commits.close();
});

void t.test('a batch takes one item of each tenant in turn', async (t) => {
  const tenants = { h: 'hot', x: 'x', y: 'y' };
  const world = newWorld({ batchItems: 5, slots: 1 }, { tenants });
  world.addEach('hhhhh hhhhh');
  t.strictSame(world.sent(), ['hhhhh']);
  world.addEach('xyx');
  world.answer(0);
  await world.turn();
  t.strictSame(world.sent(), ['hhhhh', 'hxyhx']);
});

void t.test('items of a tenant that return from backoff come only before its own items', async (t) => {
  const tenants = { h: 'hot', i: 'hot', x: 'x', y: 'y' };
  const world = newWorld({ batchItems: 2, slots: 1, backoffMs: 100 }, { tenants });
  world.addEach('hh hh hh ii xxy');
  world.answer(0, 'h');
  await world.turn();
  world.advance(100);
  world.answer(1);
  await world.turn();
  world.answer(2);
  await world.turn();
  t.strictSame(world.sent(), ['hh', 'hx', 'yh', 'xh'], 'not hh, hh');
});

void t.test('the pause of a tenant that is throttled again does not affect others', async (t) => {
  const world = newWorld({ backoffMs: 100, backoffCapMs: 800 }, { tenants: { h: 'hot', x: 'x' } });
  void world.add('h');
  world.fail(0, 'retry');
  await world.turn();
  world.advance(50);
  world.moment();
  world.fail(1, 'retry');
  await world.turn();
  world.advance(99);
  const x = world.add('x');
  // Before the moment of x ends h is back too.
  world.advance(1);
  t.strictSame(world.sent(), ['h', 'h', 'xh']);
  world.fail(2, 'retry');
  await world.turn();
  world.advance(50);
  t.strictSame(world.sent(), ['h', 'h', 'xh', 'x'], 'h waits for 200 ms');
  world.answer(3);
  t.equal(await x, 'stored');
});

void t.test('a tenant that floods is refused before another one is', async (t) => {
  const world = newWorld({ queuedItems: 10, slots: 1 }, { tenants: { x: 'x', y: 'y' } });
  world.addEach('hhhhhhhhhh');
  t.match(await world.add('h'), /^StoreOverloadedError/, 'beside ten that are accepted');
  const trickle = ['x', 'y', 'x', 'y'].map((item) => world.add(item));
  for (let at = 0; at < 3; at++) {
    world.answer(at);
    await world.turn();
  }
  t.strictSame(await Promise.all(trickle), ['stored', 'stored', 'stored', 'stored']);
});

void t.test('close refuses new items and resolves when the accepted ones are settled', async (t) => {
  const world = newWorld({ slots: 1 });
  const answers = [world.add('a')];
  world.moment();
  answers.push(world.add('b'), world.add('c'));
  let closed = false;
  const closing = Promise.all([world.commits.close(), world.commits.close()]).then(() => (closed = true));
  t.match(await world.add('d'), /^StoreUnavailableError/);
  world.answer(0);
  await world.turn();
  world.answer(1, 'c');
  await world.turn();
  t.equal(closed, false);
  world.advance(100);
  world.answer(2);
  await closing;
  t.strictSame(await Promise.all(answers), ['stored', 'stored', 'stored']);
  await newWorld().commits.close();
});

interface WorldOptions {
  readonly bytesOf?: Record<string, number>;
  /** The tenant of an item. Absent: all items have the same tenant. */
  readonly tenants?: Record<string, string>;
  readonly random?: number;
  readonly budget?: Pick<Retries, 'take' | 'give'>;
}

function recordingObserver() {
  const observed: string[] = [];
  const observer = {
    committed: (writes: number, ms: number) => observed.push(`${String(writes)} in ${String(ms)} ms`),
    refused: () => observed.push('refused'),
  };
  return { observed, observer };
}

/** A group commit of letters, whose requests the test answers and whose clock it moves. */
function newWorld(
  limits: Partial<GroupCommitLimits> = {},
  { bytesOf = {}, tenants = {}, random = 0, budget = UNLIMITED }: WorldOptions = {},
) {
  const clock = manualClock();
  const transport = manualTransport();
  const verdicts = new Map<unknown, Verdict>();
  const { observed, observer } = recordingObserver();

  const commits = createGroupCommit<string>({
    sendBatch: transport.sendBatch,
    sendOne: transport.sendOne,
    verdict: (error) => verdicts.get(error) ?? 'fail',
    tenant: (item) => tenants[item] ?? 'acme',
    retries: budget,
    bytes: (item) => bytesOf[item] ?? 1,
    limits: { ...LIMITS, ...limits },
    clock,
    random: () => random,
    observer,
  });

  /** `stored`, or the error as text. */
  const add = (item: string, deadline = clock.now() + DEADLINE): Promise<string> =>
    commits.add(item, deadline).then(
      () => 'stored',
      (error: unknown) =>
        error instanceof StoreOverloadedError || error instanceof StoreUnavailableError
          ? error.name
          : String(error),
    );

  return {
    commits,
    observed,
    ...transport,
    add,
    addEach(letters: string) {
      for (const letter of letters.replaceAll(' ', '').split('')) void add(letter);
    },
    /** Ends the present moment: work that was deferred until then runs. */
    moment: clock.runDeferred,
    /** The batches sent by the end of the present moment. */
    sent() {
      clock.runDeferred();
      return transport.batches.map((batch) => batch.join(''));
    },
    answer(at: number, unprocessed = '') {
      clock.runDeferred();
      transport.ends[at]?.resolve(unprocessed.split(''));
    },
    fail(at: number, verdict: Verdict) {
      clock.runDeferred();
      const error = new Error(verdict);
      verdicts.set(error, verdict);
      transport.ends[at]?.reject(error);
    },
    answerSingle: (item: string) => transport.singleEnds.get(item)?.resolve(),
    failSingle: (item: string, error: Error) => transport.singleEnds.get(item)?.reject(error),
    advance: (ms: number) => {
      clock.advance(ms);
    },
    turn,
    async pauseBeforeSingles() {
      clock.advance(PAUSE);
      await turn();
    },
  };

  /** Lets settled promises take effect. */
  async function turn() {
    await new Promise((resolve) => setImmediate(resolve));
    clock.runDeferred();
  }
}

/** Keeps the batches that it gets; the test decides how they end. */
function manualTransport() {
  const batches: (readonly string[])[] = [];
  const deadlines: number[] = [];
  const ends: { resolve: (left: string[]) => void; reject: (error: Error) => void }[] = [];
  const singles: string[] = [];
  const singleEnds = new Map<string, { resolve: () => void; reject: (error: Error) => void }>();
  return {
    batches,
    deadlines,
    ends,
    singles,
    singleEnds,
    sendBatch: (items: readonly string[], deadline: number) => {
      batches.push(items);
      deadlines.push(deadline);
      return new Promise<string[]>((resolve, reject) => ends.push({ resolve, reject }));
    },
    sendOne: (item: string) => {
      singles.push(item);
      return new Promise<void>((resolve, reject) => singleEnds.set(item, { resolve, reject }));
    },
  };
}

function manualClock() {
  let time = 0;
  const timers = new Set<{ at: number; run: () => void }>();
  const deferred: (() => void)[] = [];
  const runDeferred = () => {
    for (const run of deferred.splice(0)) run();
  };
  return {
    now: () => time,
    runDeferred,
    defer(run: () => void) {
      deferred.push(run);
    },
    schedule(ms: number, run: () => void) {
      const timer = { at: time + ms, run };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    advance(ms: number) {
      time += ms;
      for (const timer of [...timers].sort((a, b) => a.at - b.at)) {
        if (timer.at > time) continue;
        timers.delete(timer);
        timer.run();
      }
    },
  };
}

void t.test('the observer is told of batches, whether or not they succeed, and of refusals', async (t) => {
  const world = newWorld({ queuedItems: 2 });
  const answers = ['a', 'b', 'c'].map((item) => world.add(item));
  t.strictSame(world.observed, ['refused'], 'there is no place for c');
  t.equal(world.commits.unsettled(), 2);
  t.strictSame(world.sent(), ['ab']);
  world.advance(7);
  world.fail(0, 'fail');
  await Promise.all(answers);
  t.strictSame(world.observed, ['refused', '2 in 7 ms']);
  t.equal(world.commits.unsettled(), 0);
});

void t.test(
  'the observer is told of an item that was never sent, and not of one that may be stored',
  async (t) => {
    const world = newWorld({ slots: 1 });
    const answers = [world.add('a')];
    t.strictSame(world.sent(), ['a']);
    answers.push(world.add('b'));
    world.advance(DEADLINE);
    t.strictSame(await Promise.all(answers), ['StoreUnavailableError', 'StoreOverloadedError']);
    t.strictSame(world.observed, ['refused']);
  },
);
