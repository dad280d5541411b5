import { createHash, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Micros } from '../event.ts';
import type { StoreLog } from '../store-log.ts';
import { createWatchers, type Hint, type Watchers } from '../watchers.ts';
import type { Deadline } from './deadline.ts';
import type { FoundItem, Table } from './table.ts';

/**
 * How instances tell each other that tenants have new events: docs/decisions/014-news-between-instances.md. Tenants share 128
 * buckets. One item says which instance waits for which buckets, and counts the news of each bucket that somebody waits for.
 */
export interface News extends Pick<Watchers, 'watch' | 'isWatched'> {
  /** Events of the tenant have become pending or free, through this instance. */
  readonly tell: (tenant: string, hint?: Hint) => void;
  /** As `tell`, for those who wait here: it is no news. */
  readonly tellHere: (tenant: string, hint?: Hint) => void;
  /** This instance, and the others on which somebody waits for such tenants: names of which all instances know the same. */
  readonly waitingWith: (tenant: string) => { readonly me: string; readonly others: readonly string[] };
  /** Tells the others that nobody waits here any more. */
  readonly stop: () => Promise<void>;
}

export interface NewsOptions {
  readonly claims: Pick<Table, 'name' | 'get' | 'update'>;
  readonly now: () => Micros;
  /** Runs what sends requests. */
  readonly run: <T>(call: (deadline: Deadline) => Promise<T>) => Promise<T>;
  /** How often the item is read while this instance waits, or has news, in milliseconds. */
  readonly everyMs?: number;
  readonly log: StoreLog;
}

const EVERY_MS = 250;
const BUCKETS = 128;
/** For so long others take an instance for one that waits. It says so again after half of that. */
const WAITS_FOR_S = 60;
/** So long after the last wait it says that it waits no more: those who work may wait again at any moment. */
const LEFT_AFTER_MS = 3_000;
/** Failures in a row that are told: others are told by the calls that fail as well. */
const TOLD_FAILURE = 8;
/** Buckets of tenants that are remembered. */
const TENANTS = 10_000;

/** No claim has such a key: theirs are 64 hex digits. Without a `ttl`, it stays. */
export const NEWS_KEY = '~news';

export function createNews({ everyMs = EVERY_MS, ...options }: NewsOptions): News {
  const watchers = createWatchers();
  const board = new Board(options, watchers);
  let timer: NodeJS.Timeout | undefined;
  let isLooking = false;
  let isStopped = false;

  function lookSoon(): void {
    if (isStopped || isLooking) return;
    timer ??= setTimeout(() => {
      timer = undefined;
      isLooking = true;
      void board.look().finally(() => {
        isLooking = false;
        if (board.isBusy || !isEmpty(watchers.tenants())) lookSoon();
        else board.forget();
      });
    }, everyMs).unref();
  }

  return {
    tellHere: watchers.tell,
    waitingWith: (tenant) => board.waitingWith(board.bucketOf(tenant)),
    watch(tenant, changed) {
      lookSoon();
      return watchers.watch(tenant, changed);
    },
    isWatched: watchers.isWatched,
    tell(tenant, hint) {
      board.put(board.bucketOf(tenant));
      watchers.tell(tenant, hint);
      lookSoon();
    },
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await board.leave();
    },
  };
}

/** The item that all instances read and write. */
class Board {
  readonly #options: Omit<NewsOptions, 'everyMs'>;
  readonly #watchers: Watchers;
  readonly #me = `i_${randomBytes(4).toString('hex')}`;
  /** Buckets with news of this instance that the others have not been told of. */
  #fresh = new Set<number>();
  /** News of each bucket when the item was read last; undefined: too long ago. */
  #seen: ReadonlyMap<number, number> | undefined;
  /** What others know of this instance. */
  #known: Waits = { until: 0, buckets: new Set() };
  /** What was said last of the others that wait. */
  #others: readonly (readonly [name: string, waits: Waits])[] = [];
  /** When somebody here waited last for each bucket, in milliseconds of `performance.now()`. */
  readonly #waitedAt = new Map<number, number>();
  readonly #buckets = new LRUCache<string, number>({ max: TENANTS });
  #failures = 0;

  constructor(options: Omit<NewsOptions, 'everyMs'>, watchers: Watchers) {
    this.#options = options;
    this.#watchers = watchers;
  }

  /** Whether there is something to say still. */
  get isBusy(): boolean {
    return this.#fresh.size > 0 || this.#waitedAt.size > 0;
  }

  bucketOf(tenant: string): number {
    const known = this.#buckets.get(tenant);
    if (known !== undefined) return known;
    const bucket = createHash('sha256').update(tenant).digest().readUInt8(0) % BUCKETS;
    this.#buckets.set(tenant, bucket);
    return bucket;
  }

  waitingWith(bucket: number): { readonly me: string; readonly others: readonly string[] } {
    const time = this.#options.now() / 1e6;
    const others = this.#others.filter(([, { buckets, until }]) => until > time && buckets.has(bucket));
    return { me: this.#me, others: others.map(([name]) => name) };
  }

  put(bucket: number): void {
    this.#fresh.add(bucket);
  }

  /** What comes until the next look is nobody's news. */
  forget(): void {
    this.#seen = undefined;
  }

  /** Never rejects: what it tells are hints, and those who wait look by themselves now and then. */
  async look(): Promise<void> {
    const { claims, run } = this.#options;
    const watched = this.#watched();
    const news = this.#fresh;
    this.#fresh = new Set();
    try {
      await run(async (deadline) => {
        const said = read(await claims.get({ Key: { claim_key: NEWS_KEY } }, deadline));
        const seen = this.#seen;
        this.#seen = said.counts;
        // Where nobody has looked for a while, nobody knows what is new.
        const isNew = (bucket: number) => said.counts.get(bucket) !== seen?.get(bucket) || seen === undefined;
        // The index may not have shown this instance's own ones at once.
        this.#tell(watched, (bucket) => isNew(bucket) || news.has(bucket));
        await this.#answer(said, watched, news, deadline);
      });
    } catch (error) {
      for (const bucket of news) this.#fresh.add(bucket);
      if (++this.#failures !== TOLD_FAILURE) return;
      const message = 'instances cannot tell each other of events: who waits learns of them seconds later';
      this.#options.log.warn({ err: error, table: claims.name }, message);
    }
  }

  async leave(): Promise<void> {
    const { claims, run, now } = this.#options;
    if (this.#known.until < now() / 1e6 || this.#known.buckets.size === 0) return;
    const changes = new Changes();
    changes.remove(this.#me);
    const request = { Key: { claim_key: NEWS_KEY }, ...changes.request() };
    await run((deadline) => claims.update(request, deadline)).catch(() => undefined);
  }

  /** Says what this instance waits for, and tells the others its news. */
  async #answer(
    { waits }: Said,
    watched: Watched,
    news: ReadonlySet<number>,
    deadline: Deadline,
  ): Promise<void> {
    const { claims, now } = this.#options;
    const time = Math.floor(now() / 1e6);
    this.#others = [...waits].filter(([name, { until }]) => name !== this.#me && until > time);
    const changes = new Changes();
    for (const bucket of news) {
      if (this.#others.some(([, { buckets }]) => buckets.has(bucket))) changes.add(`n_${String(bucket)}`);
    }
    const before = this.#known.until > time ? this.#known.buckets : new Set<number>();
    const mine: Waits = { until: time + WAITS_FOR_S, buckets: this.#waitedLately(watched) };
    const isSame =
      mine.buckets.size === before.size && [...before].every((bucket) => mine.buckets.has(bucket));
    const isDue = !isSame || (watched.size > 0 && this.#known.until < time + WAITS_FOR_S / 2);
    if (isDue) changes.set(this.#me, format(mine));
    for (const [name, { until }] of waits) {
      if (name !== this.#me && until < time - WAITS_FOR_S) changes.remove(name);
    }
    if (changes.isEmpty) return;
    await claims.update({ Key: { claim_key: NEWS_KEY }, ...changes.request() }, deadline);
    this.#failures = 0;
    if (!isDue) return;
    this.#known = mine;
    // What came before the others knew of it, nobody has told.
    this.#tell(watched, (bucket) => !before.has(bucket));
  }

  /** Buckets for which somebody here waits, or did a moment ago. */
  #waitedLately(watched: Watched): ReadonlySet<number> {
    const now = performance.now();
    for (const bucket of watched.keys()) this.#waitedAt.set(bucket, now);
    for (const [bucket, at] of this.#waitedAt) if (at + LEFT_AFTER_MS < now) this.#waitedAt.delete(bucket);
    return new Set(this.#waitedAt.keys());
  }

  #tell(watched: Watched, isWanted: (bucket: number) => boolean): void {
    for (const [bucket, tenants] of watched) {
      if (isWanted(bucket)) for (const tenant of tenants) this.#watchers.tell(tenant);
    }
  }

  #watched(): Watched {
    const watched = new Map<number, string[]>();
    for (const tenant of this.#watchers.tenants()) {
      const bucket = this.bucketOf(tenant);
      const others = watched.get(bucket);
      if (others === undefined) watched.set(bucket, [tenant]);
      else others.push(tenant);
    }
    return watched;
  }
}

/** Tenants of whom somebody here wants to know, by bucket. */
type Watched = ReadonlyMap<number, readonly string[]>;

/** What the item says. */
interface Said {
  /** How often each bucket had news. */
  readonly counts: ReadonlyMap<number, number>;
  /** Instances that wait, by name. */
  readonly waits: ReadonlyMap<string, Waits>;
}

interface Waits {
  /** In seconds since the Unix epoch. */
  readonly until: number;
  readonly buckets: ReadonlySet<number>;
}

/** What is damaged counts for nothing. */
function read(item: FoundItem = {}): Said {
  const counts = new Map<number, number>();
  const waits = new Map<string, Waits>();
  for (const [name, value] of Object.entries(item)) {
    if (name.startsWith('n_') && typeof value === 'number') counts.set(Number(name.slice(2)), value);
    else if (name.startsWith('i_')) waits.set(name, parse(value));
  }
  return { counts, waits };
}

/** The time, and a bit for each bucket. */
function format({ until, buckets }: Waits): string {
  const bits = Buffer.alloc(BUCKETS / 8);
  for (const bucket of buckets)
    bits.writeUInt8(bits.readUInt8(bucket >> 3) | (1 << (bucket & 7)), bucket >> 3);
  return `${String(until)} ${bits.toString('base64')}`;
}

function parse(value: unknown): Waits {
  const [until = '', text = ''] = typeof value === 'string' ? value.split(' ') : [];
  const bits = Buffer.from(text, 'base64');
  const buckets = new Set<number>();
  for (const [at, byte] of bits.entries())
    for (let bit = 0; bit < 8; bit++) if (byte & (1 << bit)) buckets.add(at * 8 + bit);
  return { until: Number(until) || 0, buckets };
}

/** One UpdateItem. */
class Changes {
  readonly #names: Record<string, string> = {};
  readonly #values: Record<string, unknown> = {};
  readonly #clauses = { SET: [] as string[], ADD: [] as string[], REMOVE: [] as string[] };

  get isEmpty(): boolean {
    return Object.keys(this.#names).length === 0;
  }

  add(name: string): void {
    this.#values[':one'] = 1;
    this.#clauses.ADD.push(`${this.#name(name)} :one`);
  }

  set(name: string, value: string): void {
    this.#values[':value'] = value;
    this.#clauses.SET.push(`${this.#name(name)} = :value`);
  }

  remove(name: string): void {
    this.#clauses.REMOVE.push(this.#name(name));
  }

  request() {
    const UpdateExpression = Object.entries(this.#clauses)
      .filter(([, parts]) => parts.length > 0)
      .map(([verb, parts]) => `${verb} ${parts.join(', ')}`)
      .join(' ');
    const hasValues = Object.keys(this.#values).length > 0;
    return {
      UpdateExpression,
      ExpressionAttributeNames: this.#names,
      ...(hasValues && { ExpressionAttributeValues: this.#values }),
    };
  }

  #name(name: string): string {
    const place = `#${name}`;
    this.#names[place] = name;
    return place;
  }
}

function isEmpty(values: Iterable<unknown>): boolean {
  return values[Symbol.iterator]().next().done === true;
}
