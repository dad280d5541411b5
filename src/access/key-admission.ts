import type { LRUCache } from 'lru-cache';
import { KEY_BATCH, type ApiKey, type KeyStore } from '../store/key-store.ts';
import type { Principal, Refusal } from './authenticator.ts';

/** A key that is admitted until its time is over. It is renewed in place, so that requests always meet an object of one shape. */
export interface Admission {
  principal: Principal;
  /** Monotonic milliseconds, like `usedAt`. */
  until: number;
  readonly compared: Comparison;
  /** Time of the last request. */
  usedAt: number;
  /** Time of the last use that is stored, in ms since the Unix epoch. */
  notedUseMs: number;
}

/** Result of comparing a presented secret with a stored hash. It is valid as long as that hash is the stored one. */
export interface Comparison {
  readonly hash: string;
  readonly equal: boolean;
}

export function admissionOf(
  key: ApiKey,
  compared: Comparison,
  times: Pick<Admission, 'until' | 'usedAt'>,
): Admission {
  return { principal: principalOf(key), compared, notedUseMs: notedUseMs(key), ...times };
}

export interface UpkeepOptions {
  readonly keys: Pick<KeyStore, 'getMany' | 'touch'>;
  readonly admitted: LRUCache<string, Admission>;
  readonly refuse: (digest: string, answer: Refusal, readAt: number, compared: Comparison | null) => void;
  readonly ttlMs: number;
  readonly monotonicMs: () => number;
  readonly wallMs: () => number;
  readonly onBackgroundError: (error: unknown) => void;
}

export interface Upkeep {
  readonly run: () => Promise<void>;
  /** Waits for a round under way, and stores the last uses. */
  readonly finish: () => Promise<void>;
}

/** The last use is written when it is later than the stored one by this much. */
const NOTE_USE_AFTER_MS = 60_000;
/** How many last uses are written at the same time. */
const USES_AT_ONCE = 8;

/**
 * The work in the background, done by calling `run` every tenth of `ttlMs`: keys in use are read again before their time is
 * over, and their last use is stored.
 */
export function createUpkeep(options: UpkeepOptions): Upkeep {
  let running: Promise<void> | undefined;

  async function round(...works: ((options: UpkeepOptions) => Promise<void>)[]): Promise<void> {
    for (const work of works) {
      try {
        await work(options);
      } catch (error) {
        // The rest waits for the next round. Keys stay admitted until their time is over, but no longer.
        options.onBackgroundError(error);
      }
    }
  }

  return {
    // Two rounds never run at once, so that a slow store does not get more to do.
    run: () => (running ??= round(renewDue, noteUses).finally(() => (running = undefined))),
    async finish() {
      await running;
      await round(noteUses);
    },
  };
}

/** Batches go one after the other: a thousand keys are about ten reads every 25 s, not a burst. */
async function renewDue(options: UpkeepOptions): Promise<void> {
  const { admitted, ttlMs, monotonicMs } = options;
  const now = monotonicMs();
  const due = [...admitted.entries()].filter(([, { until, usedAt }]) => {
    const readAt = until - ttlMs;
    const inUse = usedAt > readAt;
    return inUse && now < until && now >= until - ttlMs / 5;
  });
  for (let i = 0; i < due.length; i += KEY_BATCH) await renew(options, due.slice(i, i + KEY_BATCH));
}

async function renew(
  { keys, admitted, refuse, ttlMs, monotonicMs }: UpkeepOptions,
  batch: readonly (readonly [digest: string, Admission])[],
): Promise<void> {
  const readAt = monotonicMs();
  const ids = new Set(batch.map(([, { principal }]) => principal.keyId));
  const found = new Map((await keys.getMany([...ids])).map((key) => [key.keyId, key]));
  for (const [digest, admission] of batch) {
    if (admitted.peek(digest) !== admission) continue;
    const key = found.get(admission.principal.keyId);
    if (!key) {
      refuse(digest, 'unauthorized', readAt, null);
    } else if (key.hash !== admission.compared.hash) {
      // The secret is not known here, so it cannot be compared with the new hash. The next request brings it.
      admitted.delete(digest);
    } else if (key.status !== 'active') {
      refuse(digest, 'forbidden', readAt, admission.compared);
    } else {
      admission.principal = principalOf(key);
      admission.until = readAt + ttlMs;
      admission.notedUseMs = Math.max(admission.notedUseMs, notedUseMs(key));
    }
  }
}

async function noteUses({ keys, admitted, monotonicMs, wallMs }: UpkeepOptions): Promise<void> {
  const epoch = wallMs() - monotonicMs();
  const unnoted = [...admitted.values()].filter(
    ({ usedAt, notedUseMs }) => usedAt + epoch - notedUseMs >= NOTE_USE_AFTER_MS,
  );
  for (let i = 0; i < unnoted.length; i += USES_AT_ONCE) {
    await Promise.all(
      unnoted.slice(i, i + USES_AT_ONCE).map((admission) => {
        admission.notedUseMs = admission.usedAt + epoch;
        return keys.touch(admission.principal.keyId, Math.floor(admission.notedUseMs * 1000));
      }),
    );
  }
}

function principalOf({ keyId, tenant, rateLimit }: ApiKey): Principal {
  return { keyId, tenant, rateLimit };
}

function notedUseMs({ lastUsedAt }: ApiKey): number {
  return lastUsedAt === null ? -Infinity : lastUsedAt / 1000;
}
