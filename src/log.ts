import type { DestinationStream, Logger } from 'pino';
import { pino } from 'pino';
import type { LogLevel } from './config.ts';
import type { Exchange } from './http/exchange.ts';
import { parseQuery } from './http/query.ts';

/** Lines are written in blocks of about so many characters, at the latest after so many ms. */
const BLOCK_LENGTH = 16_384;
const FLUSH_MS = 100;

export interface Log {
  readonly logger: Logger;
  /** Writes what is still in memory. Call it last. */
  flush(): void;
}

/** JSON lines on stdout; for people where stdout is a terminal. */
export async function createLog(level: LogLevel): Promise<Log> {
  if (process.stdout.isTTY) {
    const { default: pretty } = await import('pino-pretty');
    const stream = pretty({ sync: true, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' });
    return { logger: createLogger(level, stream), flush: () => undefined };
  }
  const blocks = createBlocks();
  setInterval(blocks.flush, FLUSH_MS).unref();
  return { logger: createLogger(level, blocks), flush: blocks.flushSync };
}

/**
 * Gathers lines for pino's destination, which has only whole blocks to deal with. By itself (sonic-boom 4.2) it measures
 * all that waits with each line, and so copies it: a third of all the bytes that ingest allocated.
 */
function createBlocks(): DestinationStream & Record<'flush' | 'flushSync', () => void> {
  const destination = pino.destination({ dest: 1, sync: false });
  let block = '';
  const flush = (): void => {
    if (block === '') return;
    destination.write(block);
    block = '';
  };
  return {
    write(line) {
      block += line;
      if (block.length >= BLOCK_LENGTH) flush();
    },
    flush,
    flushSync() {
      flush();
      destination.flushSync();
    },
  };
}

/** The logger itself, on any stream. */
export function createLogger(level: LogLevel, stream: DestinationStream): Logger {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: isoTime,
      formatters: { level: (label) => ({ level: label }) },
      ...(level === 'debug' || level === 'trace' ? { mixin: () => ({ place: placeInCode() }) } : {}),
    },
    stream,
  );
  return logger;
}

let formattedMs = 0;
let formatted = '';

/** Like pino's own, but at thousands of lines a second most come within the same millisecond. */
function isoTime(): string {
  const now = Date.now();
  if (now !== formattedMs) {
    formatted = `,"time":"${new Date(now).toISOString()}"`;
    formattedMs = now;
  }
  return formatted;
}

/** The first line of the stack outside of this file and of pino. */
function placeInCode(): string {
  const line = new Error().stack
    ?.split('\n')
    .slice(1)
    .find((frame) => !frame.includes('/node_modules/') && !/\/log\.[jt]s/.test(frame));
  return /((?:src|dist)\/[^):]+:\d+)/.exec(line ?? '')?.[1] ?? 'unknown';
}

/** Hooks for a server: the start of a request at debug, one line for each request at info, a 5xx with its reason at error. */
export function requestLog(logger: Logger): Record<'onRequest' | 'onResponse', (exchange: Exchange) => void> {
  return {
    onRequest(exchange) {
      if (!logger.isLevelEnabled('debug')) return;
      logger.debug(
        { request_id: exchange.requestId, method: exchange.method, route: exchange.route },
        'request started',
      );
    },
    onResponse(exchange) {
      const { status } = exchange;
      const line = {
        request_id: exchange.requestId,
        method: exchange.method,
        route: exchange.route,
        status,
        response_time_ms: Math.round((performance.now() - exchange.startedAt) * 1000) / 1000,
        key_id: exchange.principal?.keyId,
        client: exchange.clientAddress,
        query: exchange.rawQuery === '' ? undefined : loggedQuery(exchange.rawQuery),
        err: exchange.cause,
      };
      if (status === null) logger.info(line, 'client went away');
      else if (status >= 500) logger.error(line, 'request failed');
      else logger.info(line, 'request');
    },
  };
}

const LOGGED_PARAMETERS = ['limit', 'cursor', 'source', 'event_type'];

/** Only parameters that are known to carry no secret: people put keys into query strings. */
function loggedQuery(raw: string): Record<string, string | number> | string {
  try {
    const query = parseQuery(raw);
    const shown = Object.entries(query).filter(([name]) => LOGGED_PARAMETERS.includes(name));
    const hidden = Object.keys(query).length - shown.length;
    return { ...Object.fromEntries(shown), ...(hidden > 0 ? { hidden } : {}) };
  } catch {
    return '[malformed]';
  }
}
