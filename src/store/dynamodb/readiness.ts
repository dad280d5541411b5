import { setTimeout as sleep } from 'node:timers/promises';
import { StoreUnavailableError } from '../store-errors.ts';
import type { StoreLog } from '../store-log.ts';

const PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;

export interface Readiness {
  /** The reason why the store cannot be used yet; undefined: it can be used. */
  readonly problem: () => StoreUnavailableError | undefined;
  /** Resolves when the first try is over, whether or not it succeeded. */
  readonly tried: Promise<void>;
  stop(): void;
}

/** Repeats `prepare` in the background until it resolves. */
export function becomeReady(prepare: (signal: AbortSignal) => Promise<void>, log: StoreLog): Readiness {
  const stopping = new AbortController();
  let problem: StoreUnavailableError | undefined = new StoreUnavailableError('the store is starting');
  let firstTryOver: () => void = () => undefined;
  const tried = new Promise<void>((resolve) => (firstTryOver = resolve));
  void keepTrying();
  return {
    problem: () => problem,
    tried,
    stop: () => {
      stopping.abort();
    },
  };

  async function keepTrying(): Promise<void> {
    for (let pause = PAUSE_MS; !stopping.signal.aborted; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      try {
        await prepare(stopping.signal);
        problem = undefined;
        log.info({}, 'DynamoDB is ready');
        return;
      } catch (error) {
        report(error instanceof Error ? error : new Error(String(error)));
      } finally {
        firstTryOver();
      }
      // Not with `ref: false`, which would end a process that has nothing else to do before it closes its store.
      await sleep(pause, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  }

  function report(error: Error): void {
    if (stopping.signal.aborted || error.message === problem?.message) return;
    problem = new StoreUnavailableError(error.message, { cause: error });
    log.error({ err: error }, 'DynamoDB is not ready; trying again');
  }
}
