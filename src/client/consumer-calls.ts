import type { Call } from './call.ts';
import type { TriggersError } from './error.ts';
import { lease, type Leases, type LeaseRequest } from './lease.ts';
import type { Pending } from './outbox.ts';
import { SETTLE_PATH, settledItem, wireSettle, type SettledItem } from './settle.ts';
import type { WireMany, WireSettledItem } from './wire.ts';
import type { World } from './world.ts';

/** When the requests of a consumer end. */
export interface Ends {
  /** No more waiting for events. */
  readonly wait: AbortSignal;
  /** No more requests. */
  readonly requests: AbortSignal;
}

/** An answer, and what its tries say about it. */
export interface Told<Body> {
  readonly body: Body;
  /** In monotonic milliseconds: what the answer grants was granted then or later. */
  readonly since: number;
  /** An earlier try may have been carried out. */
  readonly isRepeated: boolean;
}

/** For ever: a consumer survives restarts of the service, however long they take. */
const FOR_EVER = { maxRetries: Infinity, deadline: Infinity };

/** Settles and leases. Rejects when the service refuses the call for good, or when requests end. */
export async function callLease<Payload>(
  call: Call,
  world: World,
  request: Omit<LeaseRequest, 'signal' | 'retries'>,
  ends: Ends,
  onRetry: (failure: TriggersError, tries: number) => void,
): Promise<Told<Leases<Payload>>> {
  const since = world.now();
  const retries = { ...FOR_EVER, onRetry };
  try {
    const { tries, ...body } = await lease<Payload>(call, { ...request, signal: ends.wait, retries });
    // One answer was on its way only for as long as a round trip: the leases are as good as new.
    return { body, since: tries > 1 ? since : world.now(), isRepeated: tries > 1 };
  } catch (error) {
    if (!ends.wait.aborted) throw error;
    // An answer may have been on its way. Its leases come back with its key, so that they can be given back uncounted.
    const last = { ...request, waitSeconds: 0, signal: ends.requests, retries: FOR_EVER };
    return { body: await lease<Payload>(call, last), since, isRepeated: true };
  }
}

/** Settles, until the last of the leases is over. */
export async function callSettle(
  call: Call,
  world: World,
  pending: readonly Pending<unknown>[],
  deadline: number,
  ends: Ends,
): Promise<Told<readonly SettledItem[]>> {
  let since = world.now();
  const { body, tries } = await call({
    method: 'POST',
    path: SETTLE_PATH,
    body: JSON.stringify(wireSettle(pending.map(({ settlement }) => settlement))),
    signal: ends.requests,
    success: { statuses: [200, 207], member: 'results' },
    maxRetries: Infinity,
    deadline,
    onRetry: () => {
      since = world.now();
    },
  });
  const { results } = body as WireMany<WireSettledItem>;
  return { body: results.map(settledItem), since, isRepeated: tries > 1 };
}
