import type { Logger } from 'pino';
import { createKeyAuthenticator, type KeyAuthenticatorOptions } from './access/key-authenticator.ts';
import { createLocalAuthenticator, LOCAL_KEY } from './access/local.ts';
import { createRateLimiter } from './access/rate-limiter.ts';
import { createSecretVerifier } from './access/secret-verifier.ts';
import { clockLog } from './clock-log.ts';
import type { Config } from './config.ts';
import { createClock, SYSTEM_TIME } from './events/clock.ts';
import type { ServiceClock, TimeSource } from './events/clock.ts';
import { createDispatch } from './http/dispatch.ts';
import type { Contract } from './http/route.ts';
import { readCertificate } from './http/certificate.ts';
import type { Server } from './http/server.ts';
import { requestLog } from './http/request-log.ts';
import { createServer, type ServerOptions } from './http/server.ts';
import { openApiContract } from './http/openapi/contract.ts';
import { siteContract } from './http/site/contract.ts';
import { unversionedContract } from './http/unversioned/contract.ts';
import { v1Contract } from './http/v1/contract.ts';
import { READY_PATH } from './http/v1/routes.ts';
import { infoWriter } from './log.ts';
import type { Metrics } from './metrics/metrics.ts';
import type { MetricsServer } from './metrics/metrics-server.ts';
import { openStore } from './store/open-store.ts';
import type { EventStore } from './store/event-store.ts';
import type { KeyStore } from './store/key-store.ts';
import { StoreUnavailableError } from './store/store-errors.ts';
import { startTls, type Tls } from './tls.ts';
import { version } from './version.ts';

export interface App {
  /** Where the service answers, e.g. `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Where the metrics are, e.g. `http://127.0.0.1:9464/metrics`; undefined while they are off. */
  readonly metricsUrl: string | undefined;
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
 * @param droppedLogLines the number of lines that the log has dropped, for the metrics.
 */
export async function startApp(
  config: Config,
  logger: Logger,
  onFatal: (error: Error) => void,
  time: TimeSource = SYSTEM_TIME,
  droppedLogLines: () => number = () => 0,
): Promise<App> {
  let draining = false;
  // Loaded only when it is used: prom-client takes its time and memory.
  const metrics =
    config.metricsPort === null
      ? undefined
      : (await import('./metrics/metrics.ts')).createMetrics([V1, UNVERSIONED]);
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
    ...(metrics && { observer: metrics.storeObserver }),
  });
  clock.startAfter(store.newestTime);
  clockReport.start(clock);
  const access = createAccess(config, store.keys, logger, metrics?.observeKey);
  const contracts = createContracts(config, { store, clock, metrics, draining: () => draining });
  const dispatch = createDispatch(contracts, {
    authenticator: access.authenticator,
    rateLimiter: createRateLimiter(),
  });
  const server = createServer({
    dispatch,
    corsOrigins: config.corsOrigins,
    readyPath: READY_PATH,
    tls: config.tls,
    ...observers(requestLog(logger, infoWriter(logger)), metrics?.http),
  });
  let metricsServer: MetricsServer | undefined;
  const tls = config.tls && certificate && startTls(config.tls, certificate, server.renewCertificate, logger);
  let port: number;
  try {
    metricsServer = await metrics?.listen(config.host, config.metricsPort ?? 0, {
      store: config.store,
      version,
      gauges: store.gauges,
      async ready() {
        if (draining) throw new StoreUnavailableError('this instance is shutting down');
        await store.ping();
      },
      droppedLines: droppedLogLines,
      now: () => clock.now(),
      monotonicMs: time.monotonicMs,
    });
    port = await server.listen(config.host, config.port);
  } catch (error) {
    await metricsServer?.close();
    await access.close();
    await store.close();
    throw error;
  }
  let closed: Promise<void> | undefined;
  return {
    metricsUrl: metricsServer?.url,
    tls,
    url: urlOf(config, port),
    close() {
      draining = true;
      const parts = [access, store, ...(metricsServer ? [metricsServer] : [])];
      closed ??= closeInOrder(server, parts, config.shutdownGraceSeconds * 1000);
      return closed;
    },
  };
}

function urlOf({ tls, host }: Config, port: number): string {
  return `${tls === null ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
}

async function closeInOrder(
  server: Server,
  parts: readonly { close(): Promise<void> }[],
  graceMs: number,
): Promise<void> {
  await server.drain(graceMs);
  for (const part of parts) await part.close();
}

/** Their names in metrics. */
const V1 = 'v1';
const UNVERSIONED = 'unversioned';

interface ServedParts {
  readonly store: EventStore;
  readonly clock: ServiceClock;
  readonly metrics: Metrics | undefined;
  readonly draining: () => boolean;
}

/** The two contracts, and what describes them. */
function createContracts(
  config: Config,
  { store, clock, metrics, draining }: ServedParts,
): readonly Contract[] {
  const services = (contract: string) => ({
    store: metrics?.counted(store, contract) ?? store,
    clock,
    version,
  });
  const v1 = v1Contract({
    ...services(V1),
    idempotencyTtl: config.eventTtlSeconds * 1e6,
    draining,
  });
  const unversioned = unversionedContract({
    ...services(UNVERSIONED),
    dedupWindow: config.dedupWindowSeconds * 1e6,
  });
  const contracts = [v1, unversioned];
  const openApi = openApiContract(contracts, unversioned, version);
  const tryOutKey = config.authMode === 'local' ? LOCAL_KEY : undefined;
  const site = siteContract({ version, contracts, errors: unversioned, tryOutKey });
  return [...contracts, openApi, site];
}

type Observers = Pick<ServerOptions, 'onRequest' | 'onResponse'>;

/** Both are told of each request. */
function observers(log: Observers, metrics: Observers | undefined): Observers {
  if (metrics === undefined) return log;
  return {
    onRequest(exchange) {
      metrics.onRequest(exchange);
      log.onRequest(exchange);
    },
    onResponse(exchange) {
      metrics.onResponse(exchange);
      log.onResponse(exchange);
    },
  };
}

/** Decides which keys are admitted, as the configuration says. */
function createAccess(
  config: Config,
  keys: KeyStore,
  logger: Logger,
  observe: KeyAuthenticatorOptions['observe'],
) {
  const verifier = createSecretVerifier();
  if (config.authMode === 'keys') verifier.warmUp();
  const stored = createKeyAuthenticator({
    keys,
    verifier,
    ttlMs: config.apiKeyCacheTtlSeconds * 1000,
    cacheSize: config.apiKeyCacheSize,
    ...(observe && { observe }),
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
