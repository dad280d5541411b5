import type { Logger } from 'pino';
import { createKeyAuthenticator } from './access/key-authenticator.ts';
import { createLocalAuthenticator, LOCAL_KEY } from './access/local.ts';
import { createRateLimiter } from './access/rate-limiter.ts';
import { createSecretVerifier } from './access/secret-verifier.ts';
import { clockLog } from './clock-log.ts';
import type { Config } from './config.ts';
import { createClock, SYSTEM_TIME } from './events/clock.ts';
import type { TimeSource } from './events/clock.ts';
import { createDispatch } from './http/dispatch.ts';
import { readCertificate } from './http/certificate.ts';
import type { Server } from './http/server.ts';
import { requestLog } from './http/request-log.ts';
import { createServer } from './http/server.ts';
import { openApiContract } from './http/openapi/contract.ts';
import { siteContract } from './http/site/contract.ts';
import { unversionedContract } from './http/unversioned/contract.ts';
import { v1Contract } from './http/v1/contract.ts';
import { infoWriter } from './log.ts';
import { openStore } from './store/open-store.ts';
import type { KeyStore } from './store/key-store.ts';
import { startTls, type Tls } from './tls.ts';
import { version } from './version.ts';

export interface App {
  /** Where the service answers, e.g. `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Null for plain HTTP. */
  readonly tls: Tls | null;
  /** Drains the server within the configured grace period, then closes the store. Further calls wait for the same. */
  close(): Promise<void>;
}

/**
 * Puts the parts together and listens. Rejects when the data folder or the port cannot be used.
 *
 * @param onFatal is called when the store has failed for good: nothing that was acknowledged is lost, but the process should end.
 * @param time is given by tests.
 */
export async function startApp(
  config: Config,
  logger: Logger,
  onFatal: (error: Error) => void,
  time: TimeSource = SYSTEM_TIME,
): Promise<App> {
  let draining = false;
  // Before the store is opened: this costs nothing, and is what an operator gets wrong.
  const certificate = config.tls && readCertificate(config.tls);
  const clockReport = clockLog(logger);
  const clock = createClock({ time, onStep: clockReport.step });
  const store = await openStore(config, {
    log: logger,
    onFatal,
    exclusive: true,
    create: true,
    clock,
    monotonicMs: time.monotonicMs,
  });
  clock.startAfter(store.newestTime);
  clockReport.start(clock);
  const access = createAccess(config, store.keys, logger);
  const services = { store, clock, version };
  const v1 = v1Contract({
    ...services,
    idempotencyTtl: config.eventTtlSeconds * 1e6,
    draining: () => draining,
  });
  const unversioned = unversionedContract({ ...services, dedupWindow: config.dedupWindowSeconds * 1e6 });
  const contracts = [v1, unversioned];
  const openApi = openApiContract(contracts, unversioned, version);
  const tryOutKey = config.authMode === 'local' ? LOCAL_KEY : undefined;
  const site = siteContract({ version, contracts, errors: unversioned, tryOutKey });
  const dispatch = createDispatch([...contracts, openApi, site], {
    authenticator: access.authenticator,
    rateLimiter: createRateLimiter(),
  });
  const server = createServer({
    dispatch,
    corsOrigins: config.corsOrigins,
    tls: config.tls,
    ...requestLog(logger, infoWriter(logger)),
  });
  const tls = config.tls && certificate && startTls(config.tls, certificate, server.renewCertificate, logger);
  let port: number;
  try {
    port = await server.listen(config.host, config.port);
  } catch (error) {
    await access.close();
    await store.close();
    throw error;
  }
  let closed: Promise<void> | undefined;
  return {
    tls,
    url: `${config.tls === null ? 'http' : 'https'}://${config.host.includes(':') ? `[${config.host}]` : config.host}:${String(port)}`,
    close() {
      draining = true;
      closed ??= closeInOrder(server, [access, store], config.shutdownGraceSeconds * 1000);
      return closed;
    },
  };
}

async function closeInOrder(
  server: Server,
  parts: readonly { close(): Promise<void> }[],
  graceMs: number,
): Promise<void> {
  await server.drain(graceMs);
  for (const part of parts) await part.close();
}

/** Decides which keys are admitted, as the configuration says. */
function createAccess(config: Config, keys: KeyStore, logger: Logger) {
  const verifier = createSecretVerifier();
  if (config.authMode === 'keys') verifier.warmUp();
  const stored = createKeyAuthenticator({
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
