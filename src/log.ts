import { isatty } from 'node:tty';
import type { DestinationStream, Logger } from 'pino';
import { pino } from 'pino';
import type { LogLevel } from './config.ts';
import { createLogOutput } from './log-output.ts';
import { complain, openSink } from './stdio.ts';

/** Bytes of log that may wait for a slow reader of stdout: some seconds at full load. */
const CAPACITY = 4 * 1024 * 1024;

export interface Log {
  readonly logger: Logger;
  /** Writes text for people at the terminal; null where stdout is not a terminal. */
  readonly print: ((text: string) => void) | null;
  /** Writes what is still in memory, as far as possible within a moment. Call it last. */
  flush(): Promise<void>;
  /** Lines that stdout did not take in time, since the start. */
  readonly droppedLines: () => number;
}

/** JSON lines on stdout; readable text where stdout is a terminal. */
export async function createLog(level: LogLevel): Promise<Log> {
  const terminal = isatty(1);
  const format = terminal ? await createFormat() : (line: string) => line;
  const { write, flush, droppedLines } = createLogOutput({
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
  return { logger: createLogger(level, stream), print: terminal ? write : null, flush, droppedLines };
}

async function createFormat(): Promise<(line: string) => string> {
  const { prettyFactory } = await import('pino-pretty');
  return prettyFactory({ translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' });
}

/** Like a line of the logger, but written at every log level, because lines of any level may be missing. */
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

/**
 * Writes lines at info whose members are JSON text already, each behind a comma. They go into the logger's own stream and look as
 * if the logger had written them.
 *
 * @param logger made by `createLogger`.
 * @returns undefined where the logger itself has to be asked: it may leave the line out, or add the place in the code.
 */
export function infoWriter(logger: Logger): ((members: string, msg: string) => void) | undefined {
  if (logger.level !== 'info') return undefined;
  const { [pino.symbols.streamSym]: stream } = logger as unknown as Record<symbol, DestinationStream>;
  return (members, msg) => {
    stream?.write(`{"level":"info"${isoTime()}${members},"msg":"${msg}"}\n`);
  };
}

let formattedMs = 0;
let formatted = '';

/** Like pino's own, but cached: at thousands of lines a second most have the same millisecond. */
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
