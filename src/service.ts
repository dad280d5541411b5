import type { Logger } from 'pino';
import { createKeyAuthenticator, type KeyAuthenticatorOptions } from './access/key-authenticator.ts';
import { createLocalAuthenticator, LOCAL_KEY } from './access/local.ts';
import { createRateLimiter } from './access/rate-limiter.ts';
import { createSecretVerifier } from './access/secret-verifier.ts';
import type { Config } from './config.ts';
import type { Clock } from './events/clock.ts';
import { createWaiting } from './events/waiting.ts';
import { createDispatch, type Dispatch } from './http/dispatch.ts';
import { openApiContract } from './http/openapi/contract.ts';
import { siteContract } from './http/site/contract.ts';
import { unversionedContract } from './http/unversioned/contract.ts';
import { v1Contract } from './http/v1/contract.ts';
import type { EventStore } from './store/event-store.ts';
import type { Store } from './store/open-store.ts';
import type { KeyStore } from './store/key-store.ts';
import { version } from './version.ts';

/** Everything that is served on a store, without a transport: `app.ts` brings it to sockets, `lambda.ts` to AWS Lambda. */
export interface Service {
  readonly dispatch: Dispatch;
  /** Requests that wait for events, at the moment. */
  readonly waits: () => number;
  /** Answers those who wait for events with what there is, now and from now on. */
  stopWaiting(): void;
  /** Ends what verifies keys. Call it while the store is still open. */
  close(): Promise<void>;
}

/** Their names in metrics. */
export const CONTRACTS = ['v1', 'unversioned'] as const;
type ContractName = (typeof CONTRACTS)[number];

export interface ServiceParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether load balancers should send their requests elsewhere. */
  readonly draining: () => boolean;
  /** Absent: the contracts use the store itself. */
  readonly counted?: (store: EventStore, contract: string) => EventStore;
  /** Is told how each look-up of a key ends. */
  readonly observeKey?: NonNullable<KeyAuthenticatorOptions['observe']>;
  /** How keys are kept up; absent: by timers. */
  readonly keyUpkeep?: Pick<KeyAuthenticatorOptions, 'repeat' | 'monotonicMs'>;
}

export function createService(config: Config, parts: ServiceParts): Service {
  const { store, clock, draining } = parts;
  const access = createAccess(config, store.keys, parts);
  const eventTtl = config.eventTtlSeconds * 1e6;
  const waiting = createWaiting({ store, placesPerKey: config.maxWaitsPerKey });
  const services = (contract: ContractName) => ({
    store: parts.counted?.(store, contract) ?? store,
    clock,
    version,
  });
  const v1 = v1Contract({ ...services('v1'), idempotencyTtl: eventTtl, eventTtl, draining, waiting });
  const unversioned = unversionedContract({
    ...services('unversioned'),
    dedupWindow: config.dedupWindowSeconds * 1e6,
  });
  const contracts = [v1, unversioned];
  const openApi = openApiContract(contracts, unversioned, version);
  const tryOutKey = config.authMode === 'local' ? LOCAL_KEY : undefined;
  const site = siteContract({ version, contracts, errors: unversioned, tryOutKey });
  const dispatch = createDispatch([...contracts, openApi, site], {
    authenticator: access.authenticator,
    rateLimiter: createRateLimiter(),
  });
  return {
    dispatch,
    waits: waiting.size,
    stopWaiting: waiting.close,
    close: () => access.close(),
  };
}

/** Decides which keys are admitted, as the configuration says. */
function createAccess(config: Config, keys: KeyStore, { logger, keyUpkeep, observeKey }: ServiceParts) {
  const verifier = createSecretVerifier();
  if (config.authMode === 'keys') verifier.warmUp();
  const stored = createKeyAuthenticator({
    ...keyUpkeep,
    ...(observeKey && { observe: observeKey }),
    keys,
    verifier,
    ttlMs: config.apiKeyCacheTtlSeconds * 1000,
    cacheSize: config.apiKeyCacheSize,
    onBackgroundError: (error) => {
      logger.warn(
        { err: error },
        'API keys in use could not be read again, or their last use could not be stored',
      );
    },
  });
  return {
    authenticator: config.authMode === 'local' ? createLocalAuthenticator(stored) : stored,
    async close() {
      await stored.close();
      await verifier.close();
    },
  };
}
