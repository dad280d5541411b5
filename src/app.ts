import type { Logger } from 'pino';
import { clockLog } from './clock-log.ts';
import type { Config } from './config.ts';
import { createClock, SYSTEM_TIME } from './events/clock.ts';
import type { TimeSource } from './events/clock.ts';
import { readCertificate } from './http/certificate.ts';
import { hostInUrl } from './http/listen.ts';
import { requestLog } from './http/request-log.ts';
import { createServer, type Server, type ServerOptions } from './http/server.ts';
import { READY_PATH } from './http/v1/routes.ts';
import { infoWriter } from './log.ts';
import type { MetricsServer } from './metrics/metrics-server.ts';
import { CONTRACTS, createService } from './service.ts';
import { openStore, type Store } from './store/open-store.ts';
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
 * Puts the parts together and listens. Rejects when the certificate, the data folder or a port cannot be used.
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
    config.metricsPort === null ? undefined : (await import('./metrics/metrics.ts')).createMetrics(CONTRACTS);
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
  const service = createService(config, {
    store,
    clock,
    logger,
    draining: () => draining,
    ...(metrics && { counted: metrics.counted, observeKey: metrics.observeKey }),
  });
  const server = createServer({
    dispatch: service.dispatch,
    corsOrigins: config.corsOrigins,
    readyPath: READY_PATH,
    tls: config.tls,
    ...observers(requestLog(logger, infoWriter(logger)), metrics?.http),
  });
  const tls = config.tls && certificate && startTls(config.tls, certificate, server.renewCertificate, logger);
  const parts: Closable[] = [service, store];
  let metricsServer: MetricsServer | undefined;
  let port: number;
  try {
    metricsServer = await metrics?.listen(config.host, config.metricsPort ?? 0, {
      store: config.store,
      version,
      gauges: store.gauges,
      ready: () => ready(store, draining),
      droppedLines: droppedLogLines,
      now: () => clock.now(),
      monotonicMs: time.monotonicMs,
      waits: service.waits,
    });
    if (metricsServer) parts.push(metricsServer);
    port = await server.listen(config.host, config.port);
  } catch (error) {
    await closeInOrder(parts);
    throw error;
  }
  let closed: Promise<void> | undefined;
  return {
    url: urlOf(config, port),
    metricsUrl: metricsServer?.url,
    tls,
    close() {
      draining = true;
      service.stopWaiting();
      closed ??= drainAndClose(server, parts, config.shutdownGraceSeconds * 1000);
      return closed;
    },
  };
}

/** Rejects where `/v1/ready` answers 503. */
async function ready(store: Store, draining: boolean): Promise<void> {
  if (draining) throw new StoreUnavailableError('this instance is shutting down');
  await store.ping();
}

function urlOf({ tls, host }: Config, port: number): string {
  return `${tls === null ? 'http' : 'https'}://${hostInUrl(host)}:${String(port)}`;
}

interface Closable {
  close(): Promise<void>;
}

async function drainAndClose(server: Server, parts: readonly Closable[], graceMs: number): Promise<void> {
  await server.drain(graceMs);
  await closeInOrder(parts);
}

async function closeInOrder(parts: readonly Closable[]): Promise<void> {
  for (const part of parts) await part.close();
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
