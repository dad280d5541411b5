import { resolve } from 'node:path';
import { isatty } from 'node:tty';
import { LOCAL_KEY } from './access/local.ts';
import type { App } from './app.ts';
import type { AuthMode, Config } from './config.ts';
import { readConfig } from './config.ts';
import { ConfigError, loadEnvFile } from './environment.ts';
import { CertificateError } from './http/certificate.ts';
import { ListenError } from './http/listen.ts';
import { UnsupportedRuntimeError } from './http/unsupported-runtime.ts';
import type { Log } from './log.ts';
import { createLog } from './log.ts';
import { complain } from './stdio.ts';
import { UnusableStoreError } from './store/store-errors.ts';
import { version } from './version.ts';

/** sysexits.h: the configuration is wrong. */
const EXIT_CONFIG = 78;

/**
 * Signals within this time count as one: a terminal or a service manager sends its signal to npm and to this process, and npm
 * passes it on as well.
 */
const SAME_SIGNAL_MS = 500;

/** Errors that the operator can correct, and for which the message is enough. */
const OPERATORS_ERRORS = [CertificateError, ListenError, UnusableStoreError, UnsupportedRuntimeError];

await main();

async function main(): Promise<void> {
  const config = configOrExit();
  const log = await createLog(config.logLevel);
  const { logger } = log;
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'unexpected error');
    void exit(log, 1);
  });

  let app: App | undefined;
  const onFatal = (error: Error): void => {
    logger.fatal({ err: error }, 'the store has failed; stopping');
    process.exitCode = 1;
    void stop(app, log);
  };
  try {
    // Loaded here, so that a Node without a binary is reported in plain words.
    const { startApp } = await import('./app.ts');
    app = await startApp(config, logger, onFatal, undefined, log.droppedLines);
  } catch (error) {
    reportFailedStart(error, log);
    await exit(log, 1);
    return;
  }
  stopOnSignals(app, log);
  onHangUp(app, log);
  const place =
    config.store === 'embedded'
      ? { data_dir: resolve(config.dataDir) }
      : { endpoint: config.dynamodb.endpoint ?? 'AWS', events_table: config.dynamodb.tables.events };
  const metrics = app.metricsUrl === undefined ? {} : { metrics: app.metricsUrl };
  logger.info(
    { url: app.url, ...metrics, version, node: process.version, store: config.store, ...place },
    'listening',
  );
  log.print?.(greeting(app.url, config.authMode));
}

/** Writes one plain line to stderr. The log gets the stack, unless the operator can correct the error. */
function reportFailedStart(error: unknown, { logger, print }: Log): void {
  const expected = OPERATORS_ERRORS.some((kind) => error instanceof kind);
  const reason = error instanceof Error ? error.message : String(error);
  if (!expected) logger.fatal({ err: error }, 'cannot start');
  // On a terminal the same person would read both.
  else if (print === null) logger.fatal({ reason }, 'cannot start');
  complain(`Cannot start: ${reason}`);
}

function configOrExit(): Config {
  try {
    loadEnvFile();
    return readConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    complain(`The configuration is wrong:\n${error.message.replaceAll(/^/gm, '  ')}`);
    process.exit(EXIT_CONFIG);
  }
}

function stopOnSignals(app: App, log: Log): void {
  let askedAt: number | undefined;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (askedAt === undefined) {
        askedAt = performance.now();
        log.logger.info({ signal }, 'draining');
        void stop(app, log);
      } else if (performance.now() - askedAt > SAME_SIGNAL_MS) {
        log.logger.warn({ signal }, 'asked twice: stopping at once');
        void exit(log, 1);
      }
    });
  }
}

/** SIGHUP: daemons read files again, and a program at a terminal ends with it. Node's default would end both. */
function onHangUp({ tls }: App, { logger, print }: Log): void {
  process.on('SIGHUP', () => {
    // A terminal that has gone is none any more.
    if (print !== null && !isatty(1)) process.kill(process.pid, 'SIGTERM');
    else if (tls === null) logger.info('SIGHUP: there is no certificate to read again; nothing has changed');
    else tls.reload();
  });
}

async function stop(app: App | undefined, log: Log): Promise<void> {
  try {
    await app?.close();
    log.logger.info('stopped');
  } catch (error) {
    log.logger.fatal({ err: error }, 'could not stop in good order');
    await log.flush();
    // process.exit() waits for the threads of libuv's pool, and one that could not be closed may wait for ever.
    process.kill(process.pid, 'SIGKILL');
  }
  await exit(log);
}

async function exit(log: Log, code?: number): Promise<never> {
  // With undefined, `exit` would use 0 instead of the exit code that is set.
  if (code !== undefined) process.exitCode = code;
  await log.flush();
  process.exit();
}

function greeting(url: string, authMode: AuthMode): string {
  const local = authMode === 'local';
  return [
    '',
    `  Triggers API listens on ${url}`,
    local
      ? `  API key for trying it out: ${LOCAL_KEY}`
      : '  API keys: triggers-api keys --help (in a clone: npm run keys -- --help)',
    '  How to use it: README.md, or docs/ for more',
    '',
    `  curl ${url}/v1/inbox -H 'X-API-Key: ${local ? LOCAL_KEY : '<key>'}'`,
    '',
    '',
  ].join('\n');
}
