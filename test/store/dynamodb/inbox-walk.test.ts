import t from 'tap';
import { countInbox } from '../../../src/store/dynamodb/inbox-reads.ts';
import { walkInbox } from '../../../src/store/dynamodb/inbox-walk.ts';
import { positionOf, shardKey, timePosition } from '../../../src/store/dynamodb/event-item.ts';
import { endless } from '../../support/deadline.ts';
import { memoryIndex, type MemoryEntry } from '../../support/memory-index.ts';
import { silentLog } from '../../../bench/harness/dynamodb.ts';

void t.test(
  'shards are merged in one order, whatever their number, their fill and the size of the asks',
  async (t) => {
    const random = lcg();
    for (let round = 0; round < 200; round++) {
      const shards = 1 + (random() % 9);
      const world = newWorld(random() % 60, shards, () => random() % (1 + (random() % shards)));
      const walk = world.walk({ firstAsk: 1 + (random() % 8) });
      t.strictSame(await takeAll(walk), world.positions, `round ${String(round)}`);
      t.equal(await walk.hasMore(), false);
    }
  },
);

void t.test('a walk can be continued at every position that it reaches', async (t) => {
  const world = newWorld(40, 3, (i) => (i * i) % 3);
  const seen: string[] = [];
  let after = '';
  for (;;) {
    const walk = world.walk({ after, firstAsk: 2 });
    const entry = await walk.next();
    if (!entry) break;
    seen.push(entry.position);
    t.equal(walk.reached(), entry.position);
    t.equal(await walk.hasMore(), seen.length < 40, 'known at each position');
    after = walk.reached();
  }
  t.strictSame(seen, world.positions);
});

void t.test('a shard that ran dry is asked again only when its turn has come', async (t) => {
  // Shard 0 holds the older half, shard 1 the younger.
  const world = newWorld(40, 2, (i) => (i < 20 ? 0 : 1));
  const walk = world.walk({ firstAsk: 5 });
  for (let i = 0; i < 5; i++) await walk.next();
  t.equal(world.read.entries, 10, 'five of each');
  await walk.next();
  t.equal(world.read.entries, 15, 'five more of shard 0');
});

void t.test(
  'a filter reads ahead in growing steps, stops at its budget, and continues from there',
  async (t) => {
    const total = 60_000;
    const world = newWorld(
      total,
      4,
      (i) => i % 4,
      (i) => (i % 7_000 === 6_999 ? 'rare' : 'common'),
    );
    const seen: string[] = [];
    let after = '';
    for (let calls = 1; ; calls++) {
      const before = world.read.entries;
      const walk = world.walk({ after, firstAsk: 25, filter: { type: 'rare' } });
      seen.push(...(await takeAll(walk)));
      t.ok(world.read.entries - before < 20_000, 'at most one ask of each shard beyond the budget');
      if (!(await walk.hasMore())) break;
      t.ok(walk.reached() > after, 'each call gets further');
      after = walk.reached();
      t.ok(calls < 20);
    }
    t.strictSame(
      seen,
      world.positions.filter((_, i) => i % 7_000 === 6_999),
    );
    t.ok(world.read.largest <= 2_000);
  },
);

void t.test('late in the call a walk stops where it is', async (t) => {
  const world = newWorld(
    1_000,
    4,
    (i) => i % 4,
    () => 'common',
  );
  const deadline = { ...endless(), at: performance.now() + 100 };
  const walk = world.walk({ firstAsk: 10, filter: { type: 'rare' }, deadline });
  t.equal(await walk.next(), undefined);
  t.ok(world.read.entries <= 40, 'one ask of each shard');
  t.equal(await walk.hasMore(), true);
  t.equal(walk.reached(), world.positions[36], 'what the shard that came least far has been read to');
});

void t.test('a consumer that is a little slower than its producers sees what comes late', async (t) => {
  const longest = { walksEnd: await longestUnseen(true), theyDoNot: await longestUnseen(false) };
  t.comment('seconds unseen at most, in half an hour', longest);
  t.ok(longest.walksEnd < 150, 'a walk takes as long as what is pending at its start');
  t.ok(longest.theyDoNot > 1_700, 'a walk without an end never gets back to it');
});

void t.test('a count stops at 10,000 and says so', async (t) => {
  for (const [events, count, exact] of [
    [0, 0, true],
    [9_999, 9_999, true],
    [10_000, 10_000, true],
    [10_001, 10_000, false],
    [35_000, 10_000, false],
  ] as const) {
    const { reader, read } = newWorld(events, 4, (i) => i % 4);
    const options = { reader, readShards: () => 4, log: silentLog } as Parameters<typeof countInbox>[0];
    t.strictSame(await countInbox(options, 'acme', 0, endless()), { count, exact });
    t.ok(read.entries <= 10_004, 'each shard its part');
  }
});

void t.test('a count of shards that are filled unevenly reads no more than it counts', async (t) => {
  for (const events of [9_000, 10_000, 30_000]) {
    const { reader, read } = newWorld(events, 16, (i) => (i % 100 === 0 ? 5 : 3));
    const options = { reader, readShards: () => 16, log: silentLog } as Parameters<typeof countInbox>[0];
    const count = Math.min(events, 10_000);
    t.strictSame(await countInbox(options, 'acme', 0, endless()), { count, exact: events <= 10_000 });
    t.ok(read.entries <= 10_016, `${String(read.entries)} entries`);
  }
});

/**
 * Half an hour of 100 events a second, one of which is placed 2 s into the past, and of a consumer that takes 95 a second in
 * pages of 95. The longest time, in seconds, for which an event was there and was not seen, be it to this moment.
 */
async function longestUnseen(walksEnd: boolean): Promise<number> {
  const keys = Array.from({ length: 4 }, (_, shard) => shardKey('acme', shard));
  const entries = new Map<string, MemoryEntry[]>(keys.map((key) => [key, []]));
  const unseenSince = new Map<string, number>();
  const { reader } = memoryIndex(entries);
  const put = (second: number, n: number) => {
    const isLate = n === 0;
    const position = positionOf(1e9 + (second - (isLate ? 2 : 0)) * 1e6 + n * 1e4, String(n));
    const shard = entries.get(shardKey('acme', n % 4)) ?? [];
    shard.push({ position, payloadBytes: 1 });
    if (isLate) {
      shard.sort((a, b) => (a.position < b.position ? -1 : 1));
      unseenSince.set(position, second);
    }
  };
  let walkPosition: { after: string; end: string | null } = { after: '', end: null };
  let longest = 0;
  for (let second = 0; second < 1_800; second++) {
    for (let n = 0; n < 100; n++) put(second, n);
    const walk = walkInbox({
      ...{ reader, shards: keys, filter: {}, firstAsk: 48, deadline: endless() },
      ...walkPosition,
    });
    const page = new Set<string>();
    while (page.size < 95) {
      const entry = await walk.next();
      if (entry === undefined) break;
      page.add(entry.position);
    }
    const goesOn = await walk.hasMore();
    walkPosition = goesOn
      ? {
          after: walk.reached(),
          end: walksEnd ? (walkPosition.end ?? timePosition(1e9 + (second + 1) * 1e6)) : null,
        }
      : { after: '', end: null };
    for (const [key, shard] of entries) {
      entries.set(
        key,
        shard.filter(({ position }) => !page.has(position)),
      );
    }
    for (const position of page) {
      longest = Math.max(longest, second - (unseenSince.get(position) ?? second));
      unseenSince.delete(position);
    }
  }
  return Math.max(longest, ...[...unseenSince.values()].map((since) => 1_800 - since));
}

function newWorld(
  events: number,
  shards: number,
  shardOf: (i: number) => number,
  typeOf: (i: number) => string = () => 'common',
) {
  const keys = Array.from({ length: shards }, (_, shard) => shardKey('acme', shard));
  const entries = new Map<string, MemoryEntry[]>(keys.map((key) => [key, []]));
  const positions = Array.from({ length: events }, (_, i) => positionOf(1_000 + i, `id-${String(i)}`));
  for (const [i, position] of positions.entries()) {
    entries.get(shardKey('acme', shardOf(i)))?.push({ position, payloadBytes: 1, type: typeOf(i) });
  }
  const { reader, read } = memoryIndex(entries);
  return {
    reader,
    read,
    positions,
    walk: (options: Partial<Parameters<typeof walkInbox>[0]>) =>
      walkInbox({
        reader,
        shards: keys,
        after: '',
        end: null,
        filter: {},
        firstAsk: 5,
        deadline: endless(),
        ...options,
      }),
  };
}

async function takeAll(walk: ReturnType<typeof walkInbox>): Promise<string[]> {
  const taken = [];
  for (let entry = await walk.next(); entry; entry = await walk.next()) taken.push(entry.position);
  return taken;
}

/** The same numbers on every run. */
function lcg(): () => number {
  let state = 7;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) >>> 16;
}
