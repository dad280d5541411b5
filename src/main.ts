import { existsSync } from 'node:fs';
import { LOCAL_KEY } from './access/local.ts';
import type { App } from './app.ts';
import { startApp } from './app.ts';
import type { AuthMode, Config } from './config.ts';
import { ConfigError, readConfig } from './config.ts';
import type { Log } from './log.ts';
import { createLog } from './log.ts';

/** sysexits.h: the configuration is wrong. */
const EXIT_CONFIG = 78;

if (existsSync('.env')) process.loadEnvFile('.env');
await main();

async function main(): Promise<void> {
  const config = configOrExit();
  const log = await createLog(config.logLevel);
  const { logger } = log;
  const die = (error: unknown, message: string): never => {
    logger.fatal({ err: error }, message);
    log.flush();
    process.exit(1);
  };
  process.on('uncaughtException', (error) => die(error, 'unexpected error'));

  let app: App | undefined;
  const onFatal = (error: Error): void => {
    logger.fatal({ err: error }, 'the store has failed; stopping');
    process.exitCode = 1;
    void stop(app, log);
  };
  try {
    app = await startApp(config, logger, onFatal);
  } catch (error) {
    die(error, 'cannot start');
    return;
  }
  stopOnSignals(app, log);
  const place =
    config.store === 'embedded'
      ? { data_dir: config.dataDir }
      : { endpoint: config.dynamodb.endpoint ?? 'AWS', events_table: config.dynamodb.tables.events };
  logger.info({ url: app.url, store: config.store, ...place }, 'listening');
  if (process.stdout.isTTY) greet(app.url, config.authMode);
}

function configOrExit(): Config {
  try {
    return readConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(`The configuration is wrong:\n${error.message.replaceAll(/^/gm, '  ')}`);
    process.exit(EXIT_CONFIG);
  }
}

function stopOnSignals(app: App, log: Log): void {
  let asked = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (asked) {
        log.logger.warn({ signal }, 'asked twice: stopping at once');
        log.flush();
        process.exit(1);
      }
      asked = true;
      log.logger.info({ signal }, 'draining');
      void stop(app, log);
    });
  }
}

async function stop(app: App | undefined, log: Log): Promise<void> {
  try {
    await app?.close();
    log.logger.info('stopped');
  } catch (error) {
    log.logger.fatal({ err: error }, 'could not stop in good order');
    log.flush();
    // process.exit() waits for the threads of libuv's pool, and the one that could not be closed may wait for ever.
    process.kill(process.pid, 'SIGKILL');
  }
  log.flush();
  process.exit();
}

function greet(url: string, authMode: AuthMode): void {
  const local = authMode === 'local';
  process.stdout.write(
    [
      '',
      `  Triggers API listens on ${url}`,
      local ? `  API key for trying it out: ${LOCAL_KEY}` : '  API keys: npm run keys -- --help',
      '  How to use it: README.md, or docs/ for more',
      '',
      `  curl ${url}/v1/inbox -H 'X-API-Key: ${local ? LOCAL_KEY : '<key>'}'`,
      '',
      '',
    ].join('\n'),
  );
}
