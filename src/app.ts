import type { Logger } from 'pino';
import { clockLog } from './clock-log.ts';
import type { Config } from './config.ts';
import { createClock, SYSTEM_TIME } from './events/clock.ts';
import type { TimeSource } from './events/clock.ts';
import type { Server } from './http/server.ts';
import { requestLog } from './http/request-log.ts';
import { createServer } from './http/server.ts';
import { createService } from './service.ts';
import { openStore } from './store/open-store.ts';

export interface App {
  /** Where the service answers, e.g. `http://127.0.0.1:8080`. */
  readonly url: string;
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
  const service = createService(config, { store, clock, logger, draining: () => draining });
  const server = createServer({
    dispatch: service.dispatch,
    corsOrigins: config.corsOrigins,
    ...requestLog(logger),
  });
  let port: number;
  try {
    port = await server.listen(config.host, config.port);
  } catch (error) {
    await service.close();
    await store.close();
    throw error;
  }
  let closed: Promise<void> | undefined;
  return {
    url: `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${String(port)}`,
    close() {
      draining = true;
      closed ??= closeInOrder(server, [service, store], config.shutdownGraceSeconds * 1000);
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
