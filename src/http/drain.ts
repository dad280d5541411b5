/** What a server has to do at the moment. Times are of `performance.now()`, `-Infinity` if there was none. */
export interface Activity {
  /** Of the last request that was no probe. */
  lastRequestAt(): number;
  /** When a load balancer last asked whether the process takes requests. */
  lastProbeAt(): number;
  /** Requests without their whole reply. */
  inFlight(): number;
  /** Open connections, idle ones included. */
  connections(): number;
}

/** After this time without a request, nobody is assumed to come any more. */
const QUIET_MS = 500;
/** Who has asked `/v1/ready` within this time asks again, and learns only then that the process is ending. */
const PROBED_MS = 60_000;
/**
 * A load balancer keeps idle connections for less than this (docs/deployment.md). Each reply of a draining process closes its
 * connection, so a connection that is still open after this time has been idle for as long, and no request is on its way there.
 */
const IDLE_MS = 7_500;
/** The listener is closed in a turn of the event loop that takes less than this. */
const CALM_TURN_MS = 0.2;
/** A process that is always busy has no such turn, and its grace must not pass with looking for one. */
const CALM_TURN_SOUGHT_MS = 250;
const LOOK_MS = 25;

/**
 * Ends a server so that no request fails, in at most `graceMs`. Replies must ask to close the connection from now on.
 *
 * First it serves on, because clients come until the load balancer has noticed: until it is quiet, or for half of the grace while a
 * balancer probes the process, or requests do not end. Then it takes no new connections, which tells a balancer that does not
 * probe. It still serves the ones that are open, until all are closed or have been idle for longer than a balancer keeps them.
 * (Closing an idle connection meets requests that are on their way: they could not be repeated, because nobody knows whether
 * they were handled.)
 */
export async function drain(activity: Activity, graceMs: number, stopListening: () => void): Promise<void> {
  const start = performance.now();
  const passed = (): number => performance.now() - start;
  const probed = start - activity.lastProbeAt() < PROBED_MS;
  const quiet = (): boolean => performance.now() - Math.max(start, activity.lastRequestAt()) >= QUIET_MS;

  while (passed() < graceMs / 2 && (probed || !quiet())) await sleep(LOOK_MS);
  await calmTurn(Math.min(CALM_TURN_SOUGHT_MS, graceMs / 8));
  stopListening();
  const idleMs = Math.min(IDLE_MS, graceMs * 0.75);
  const over = (): boolean => activity.inFlight() === 0 && passed() >= idleMs;
  while (passed() < graceMs && activity.connections() > 0 && !over()) await sleep(LOOK_MS);
}

/**
 * Resolves in a turn of the event loop in which connections have just been taken. The kernel resets those that come between that
 * and the end of the listener, together with the requests that were sent on them.
 */
async function calmTurn(patienceMs: number): Promise<void> {
  const start = performance.now();
  for (let now = start; now - start < patienceMs;) {
    const before = now;
    await new Promise(setImmediate);
    now = performance.now();
    if (now - before < CALM_TURN_MS) return;
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
