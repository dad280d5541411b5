import type { Append, Appended, Claim, Failed } from '../event-store.ts';
import type { StoredEvent } from '../event.ts';
import { StoreOverloadedError } from '../store-errors.ts';
import type { Appends } from './append.ts';
import type { Calls } from './calls.ts';
import type { Deadline } from './deadline.ts';
import { unlessRefused } from '../unless-refused.ts';

interface Ways {
  readonly appends: Appends;
  readonly calls: Calls;
  readonly callBudgetMs: number;
}

type Result = Appended | Failed;

interface Claimed {
  readonly event: StoredEvent;
  readonly claim: Claim;
}

/** `appendMany` of the port. Events without a claim go with the group commit, the others beside it, each by itself. */
export async function appendMany(
  { appends, calls, callBudgetMs }: Ways,
  tenant: string,
  many: readonly Append[],
): Promise<readonly Result[]> {
  const plain = many.filter(({ claim }) => claim === undefined).map(({ event }) => event);
  const claimed = many.flatMap(({ event, claim }) => (claim === undefined ? [] : [{ event, claim }]));
  const [ofPlain, ofClaimed] = await Promise.all([
    appends.plainMany(plain, performance.now() + callBudgetMs),
    claimed.length === 0 ? [] : appendClaimed(appends, calls, tenant, claimed),
  ]);
  const [nextPlain, nextClaimed] = [ofPlain.values(), ofClaimed.values()];
  const results = many.flatMap(({ claim }) => {
    const { value } = (claim === undefined ? nextPlain : nextClaimed).next();
    return value === undefined ? [] : [value];
  });
  return unlessRefused(results);
}

async function appendClaimed(
  appends: Appends,
  calls: Calls,
  tenant: string,
  claimed: readonly Claimed[],
): Promise<readonly Result[]> {
  /** The last event so far with each claim. */
  const lastWith = new Map<string, Promise<Appended>>();
  const put = async (
    before: Promise<Appended> | undefined,
    { event, claim }: Claimed,
    deadline: Deadline,
  ) => {
    const failed = await before?.then(
      () => false,
      () => true,
    );
    // If it went on alone it could take the claim from the event before it, and a repeated list would have other results.
    if (failed === true)
      throw new StoreOverloadedError('not tried: an event before it with the same claim failed');
    return appends.claimed(event, claim, deadline);
  };
  const inOrder = (one: Claimed, deadline: Deadline) => {
    const appended = put(lastWith.get(one.claim.key), one, deadline);
    lastWith.set(one.claim.key, appended);
    return appended;
  };
  try {
    return await calls.runMany(tenant, claimed, inOrder);
  } catch (error) {
    // The events without a claim may be stored all the same.
    if (!(error instanceof Error)) throw error;
    return claimed.map(() => ({ outcome: 'failed', error }));
  }
}
