/**
 * The service on AWS Lambda, behind an HTTP API of API Gateway: docs/decisions/029-lambda-handler.md. `npm run lambda:pack`
 * builds the package. uWebSockets.js is not loaded: API Gateway has the sockets.
 */
import { pino } from 'pino';
import { clockLog } from './clock-log.ts';
import { readConfig, type Config } from './config.ts';
import { ConfigError, type Environment } from './environment.ts';
import { createClock } from './events/clock.ts';
import { requestLog } from './http/request-log.ts';
import { answerEvents } from './lambda/answer-event.ts';
import { LAMBDA_PAGE_PAYLOAD_BYTES } from './lambda/gateway-result.ts';
import { createUpkeep } from './lambda/upkeep.ts';
import { createLogger, infoWriter } from './log.ts';
import { createService } from './service.ts';
import { openStore } from './store/open-store.ts';

/** Loading this file is the cold start. When it fails, Lambda reports the error and starts another process for the next request. */
export const handler = await start(readLambdaConfig(process.env));

async function start(config: Config) {
  // Lines are written at once: the process may be frozen right after the reply.
  const logger = createLogger(config.logLevel, pino.destination({ fd: 1, sync: true }));
  const monotonicMs = neverBack(Date.now);
  const clockReport = clockLog(logger);
  const clock = createClock({ time: { wallMs: Date.now, monotonicMs }, onStep: clockReport.step });
  const store = await openStore(config, {
    log: logger,
    onFatal: (error) => {
      throw error;
    },
    exclusive: true,
    create: true,
    clock,
    monotonicMs,
    pagePayloadBytes: LAMBDA_PAGE_PAYLOAD_BYTES,
  });
  const upkeep = createUpkeep(monotonicMs);
  const { dispatch } = createService(config, {
    store,
    clock,
    logger,
    draining: () => false,
    keyUpkeep: { repeat: (work, everyMs) => upkeep.repeat(work, everyMs), monotonicMs },
  });
  return answerEvents({ dispatch, upkeep, onResponse: requestLog(logger, infoWriter(logger)).onResponse });
}

/** @throws a `ConfigError`, also for what this form of the service cannot do. */
function readLambdaConfig(env: Environment): Config {
  // The address is for the check that keeps the test key off networks: API Gateway is reached by everybody.
  const config = readConfig({ STORE: 'dynamodb', ...env, HOST: '0.0.0.0' });
  if (config.store !== 'dynamodb') throw new ConfigError('STORE: takes dynamodb on Lambda');
  if (config.corsOrigins.length > 0) {
    throw new ConfigError(
      'CORS_ORIGINS: is set in API Gateway on Lambda (parameter CorsOrigins of the stack)',
    );
  }
  if (config.tls !== null)
    throw new ConfigError('TLS_CERT_FILE, TLS_KEY_FILE: API Gateway has the certificate on Lambda');
  if (config.metricsPort !== null) {
    throw new ConfigError(
      'METRICS_PORT: nothing can be scraped on Lambda; CloudWatch has metrics of the function',
    );
  }
  return config;
}

/**
 * Time that runs on while the process is frozen, unlike a monotonic clock may. Otherwise the clock of the service would take the
 * first request after an hour for a step of the wall clock by an hour.
 */
function neverBack(wallMs: () => number): () => number {
  let last = 0;
  return () => (last = Math.max(last, wallMs()));
}
