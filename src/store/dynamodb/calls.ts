import type { Failed } from '../event-store.ts';
import { StoreOverloadedError, StoreUnavailableError } from '../store-errors.ts';
import { createShares, type Shares } from '../shares.ts';
import { untilSent, withDeadline, type Deadline } from './deadline.ts';
import { toStoreError } from './failure.ts';
import { forMany, type Places } from './for-many.ts';
import type { Retries } from './retries.ts';
import { createTurns, type Turns } from './turns.ts';

/** Bound of the calls under way, without plain appends, which the group commit bounds. One tenant alone has half of them. */
const MAX_CALLS = 2_000;

/**
 * Requests that these calls may have under way, for all tenants and for one. The rest of the client's 512 sockets is for the
 * group commit's 16 batches and 32 single puts, and for `ping`.
 */
const MAX_REQUESTS = 448;
const MAX_REQUESTS_OF_ONE = 224;

/** Items of one call for many that are under way at a time: two requests each, one after the other, when they have claims. */
const ITEMS_AT_A_TIME = 64;

/** Calls for many take no further place when their tenant could then take no more than these: they are for its single calls. */
const LEFT_TO_SINGLE_CALLS = MAX_CALLS / 8;

export function createRequestTurns(): Turns {
  return createTurns(MAX_REQUESTS, MAX_REQUESTS_OF_ONE);
}

interface CallOptions {
  readonly table: string;
  readonly callBudgetMs: number;
  readonly retries: Retries;
  readonly turns: Turns;
  readonly problem: () => StoreUnavailableError | undefined;
}

export type Calls = ReturnType<typeof trackCalls>;

/** Every call of the store passes here. It is refused when it cannot succeed, gets the port's errors, and is waited for on close. */
export function trackCalls({ table, callBudgetMs, retries, turns, problem }: CallOptions) {
  const underWay = new Set<Promise<unknown>>();
  const running = createShares(MAX_CALLS);
  let closed = false;

  const refusal = () => (closed ? new StoreUnavailableError('the store is closed') : problem());

  const track = async <T>(call: () => Promise<T>): Promise<T> => {
    const refused = refusal();
    if (refused) throw refused;
    const answer = call();
    underWay.add(answer);
    try {
      return await answer;
    } catch (error) {
      throw toStoreError(error, table);
    } finally {
      underWay.delete(answer);
    }
  };

  return {
    refusal,
    track,

    /** @param endsAt a time of `performance.now()`; absent: the budget of a call from now. */
    async run<T>(tenant: string, call: (deadline: Deadline) => Promise<T>, endsAt?: number): Promise<T> {
      if (!running.take(tenant, 1)) throw new StoreOverloadedError('too many calls are under way');
      const turn = <R>(request: () => Promise<R>) => turns.run(tenant, request);
      try {
        const budgetMs = endsAt === undefined ? callBudgetMs : Math.max(0, endsAt - performance.now());
        return await track(() => withDeadline(call, budgetMs, { retries, turn }));
      } finally {
        running.give(tenant, 1);
      }
    },

    /**
     * One call for many items. Each takes a place of its own among the calls; items that find none wait in here. So only a call
     * that finds not even one place is refused. The call ends by the deadline of a single one: what was not sent by then is
     * refused, and never will be sent.
     *
     * @returns what came of each item, in order.
     */
    async runMany<Item, Result>(
      tenant: string,
      items: readonly Item[],
      call: (item: Item, deadline: Deadline) => Promise<Result>,
      endsAt = performance.now() + callBudgetMs,
    ): Promise<readonly (Result | Failed)[]> {
      if (!running.take(tenant, 1)) throw new StoreOverloadedError('too many calls are under way');
      const turn = <R>(request: () => Promise<R>) => turns.run(tenant, request);
      const each = (item: Item) =>
        untilSent((deadline) => call(item, deadline), endsAt, { retries, turn }).catch((error: unknown) => ({
          outcome: 'failed' as const,
          error: toStoreError(error, table),
        }));
      try {
        return await track(() => forMany(items, each, placesOf(tenant, running)));
      } finally {
        running.give(tenant, 1);
      }
    },

    /** Runs a call that belongs to no tenant. It takes no share, and there is always a place for its one request. */
    runUnshared: <T>(call: (deadline: Deadline) => Promise<T>): Promise<T> =>
      track(() => withDeadline(call, callBudgetMs)),

    /** Refuses further calls; resolves when those under way are over. */
    async close(): Promise<void> {
      closed = true;
      await Promise.allSettled(underWay);
    },
  };
}

function placesOf(tenant: string, running: Shares): Places<unknown> {
  let others = 0;
  return {
    take: () => {
      if (others + 1 >= ITEMS_AT_A_TIME || running.room(tenant) <= LEFT_TO_SINGLE_CALLS) return false;
      if (!running.take(tenant, 1)) return false;
      others += 1;
      return true;
    },
    give: () => {
      running.give(tenant, 1);
      others -= 1;
    },
  };
}

/** Callers share the run that is under way. */
export function singleFlight<T>(run: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | undefined;
  return () => {
    underWay ??= run().finally(() => (underWay = undefined));
    return underWay;
  };
}
