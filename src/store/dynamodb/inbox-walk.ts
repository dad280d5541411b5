import type { Filter, IndexEntry, IndexReader } from './index-reader.ts';
import type { Deadline } from './deadline.ts';

/** The shards of one inbox as one sequence in the order of positions. */
export interface InboxWalk {
  /** The next entry; undefined when there is none, or when the budget is used up. */
  next(): Promise<IndexEntry | undefined>;
  /** Whether `next` may give another entry, now or to a walk that continues from here. */
  hasMore(): Promise<boolean>;
  /** Every entry up to this position has been given out, or left out by the filter. */
  reached(): string;
}

export interface WalkOptions {
  readonly reader: IndexReader;
  readonly shards: readonly string[];
  readonly after: string;
  /** The last position of the walk; null: the walk begins here, and reads as far as it has to. */
  readonly end: string | null;
  readonly filter: Filter;
  /** The number of entries that are requested from each shard at first. */
  readonly firstAsk: number;
  readonly deadline: Deadline;
}

/** The most entries that one walk reads in all shards. */
const SCAN_BUDGET = 10_000;

/** With a filter, more entries are requested each time, up to this number, because most may be left out. */
const LARGEST_ASK = 2_000;

/** Reading continues only with this much time left, because the page must be fetched afterwards. */
const RESERVE_MS = 900;

interface Shard {
  readonly key: string;
  entries: readonly IndexEntry[];
  taken: number;
  /** Where the next query starts. */
  readTo: string;
  ended: boolean;
  ask: number;
}

export function walkInbox(options: WalkOptions): InboxWalk {
  const { reader, filter, deadline, end: to } = options;
  const ended = (readTo: string | null) => readTo === null || (to !== null && readTo >= to);
  const shards = options.shards.map((key): Shard => {
    const start = { readTo: options.after, ended: ended(options.after), ask: options.firstAsk };
    return { key, entries: [], taken: 0, ...start };
  });
  const walk = { reached: options.after, scanned: 0 };
  const filtered = Object.values(filter).some((value) => value !== undefined);

  return {
    async next() {
      // Entries whose events turn out not to be pending cost time without filling the page.
      if (isLate() && walk.reached !== options.after) return undefined;
      const shard = await firstShard();
      if (shard === undefined) return undefined;
      const entry = head(shard);
      shard.taken += 1;
      if (entry) walk.reached = entry.position;
      return entry;
    },
    hasMore: async () => (await firstShard()) !== undefined || shards.some(isDry),
    reached: () => walk.reached,
  };

  /** The shard whose entry comes next. */
  async function firstShard(): Promise<Shard | undefined> {
    for (;;) {
      const first = shards
        .filter((shard) => head(shard) !== undefined)
        .reduce<Shard | undefined>((a, b) => (a && position(a) < position(b) ? a : b), undefined);
      // The next entries of a shard that ran dry may come before.
      const inTheWay = shards.filter((shard) => isDry(shard) && (!first || shard.readTo < position(first)));
      if (inTheWay.length === 0) return first;
      if (walk.scanned >= SCAN_BUDGET || isLate()) {
        const dryTo = inTheWay.map(({ readTo }) => readTo).reduce((a, b) => (a < b ? a : b));
        if (dryTo > walk.reached) walk.reached = dryTo;
        return undefined;
      }
      await Promise.all(inTheWay.map(refill));
    }
  }

  async function refill(shard: Shard): Promise<void> {
    const span = { after: shard.readTo, to };
    const page = await reader.query(shard.key, span, shard.ask, filter, deadline);
    walk.scanned += page.scanned;
    shard.entries = page.entries;
    shard.taken = 0;
    shard.ended = ended(page.readTo);
    if (page.readTo !== null) shard.readTo = page.readTo;
    if (filtered) shard.ask = Math.min(LARGEST_ASK, shard.ask * 4);
  }

  /** False before the first query, which is always made: a walk whose pages make no progress would never end. */
  function isLate(): boolean {
    return walk.scanned > 0 && performance.now() > deadline.at - RESERVE_MS;
  }
}

function head(shard: Shard): IndexEntry | undefined {
  return shard.entries[shard.taken];
}

function position(shard: Shard): string {
  return head(shard)?.position ?? '';
}

function isDry(shard: Shard): boolean {
  return !shard.ended && head(shard) === undefined;
}
