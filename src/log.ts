import { isatty } from 'node:tty';
import type { DestinationStream, Logger } from 'pino';
import { pino } from 'pino';
import type { LogLevel } from './config.ts';
import type { Exchange } from './http/exchange.ts';
import { parseQuery } from './http/query.ts';
import { createLogOutput } from './log-output.ts';
import { complain, openSink } from './stdio.ts';
import { StoreOverloadedError, StoreUnavailableError } from './store/errors.ts';

/** Bytes of log that wait for a slow reader of stdout; some seconds at full load. */
const CAPACITY = 4 * 1024 * 1024;

export interface Log {
  readonly logger: Logger;
  /** Text for the people at the terminal; null where stdout is none. */
  readonly print: ((text: string) => void) | null;
  /** Writes what is still in memory, as far as that is possible within a moment. Call it last. */
  flush(): Promise<void>;
}

/** JSON lines on stdout; for people where stdout is a terminal. */
export async function createLog(level: LogLevel): Promise<Log> {
  const terminal = isatty(1);
  const format = terminal ? await createFormat() : (line: string) => line;
  const { write, flush } = createLogOutput({
    sink: openSink(1),
    capacity: CAPACITY,
    droppedLine: (lines) => format(droppedLine(lines)),
    complain,
  });
  const stream: DestinationStream = terminal
    ? {
        write(line) {
          write(format(line));
        },
      }
    : { write };
  return { logger: createLogger(level, stream), print: terminal ? write : null, flush };
}

async function createFormat(): Promise<(line: string) => string> {
  const { prettyFactory } = await import('pino-pretty');
  return prettyFactory({ translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' });
}

/** Like a line of the logger's, but at every level: it stands for lines of every level. */
function droppedLine(lines: number): string {
  const msg = 'lines of this log are missing here: stdout did not take them in time';
  return `{"level":"warn"${isoTime()},"dropped_lines":${String(lines)},"msg":"${msg}"}\n`;
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

/**
 * Hooks for a server: the start of a request at debug, one line for each request at info, a 5xx with its reason at error; at warn and
 * without a stack where that is only that the store takes no more at the moment.
 */
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
      };
      const { cause } = exchange;
      if (status === null) logger.info({ ...line, err: cause }, 'client went away');
      else if (isRefusal(cause)) logger.warn({ ...line, reason: cause.message }, 'request refused');
      else if (status >= 500) logger.error({ ...line, err: cause }, 'request failed');
      else logger.info({ ...line, err: cause }, 'request');
    },
  };
}

/** Of these there may be thousands a second for as long as a disk is full, on that same disk perhaps. */
function isRefusal(cause: unknown): cause is Error {
  return (
    cause instanceof StoreOverloadedError ||
    (cause instanceof StoreUnavailableError && cause.cause === undefined)
  );
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
