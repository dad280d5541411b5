import type { Sink } from './stdio.ts';

/** Lines are written in blocks of about this many characters, after this many milliseconds at the latest. */
const BLOCK_LENGTH = 16_384;
const TICK_MS = 100;
/** A file takes one write per round of a busy event loop. With one block a round, 24,000 lines a second would be too many. */
const BLOCKS_A_WRITE = 64;
/** A reader without room is tried again after this time: through a pipe of 64 KiB it still gets 13 MB/s. */
const RETRY_MS = 5;
/** How long the end of the process may wait for the reader. */
const FLUSH_MS = 250;

export interface LogOutput {
  /** Takes a line with its line break, or drops and counts it. It never waits and never throws. */
  readonly write: (line: string) => void;
  /** Resolves when all is written, or after 250 ms; `complain` then says what is left. Call it last. */
  readonly flush: () => Promise<void>;
  /** Lines that were dropped since the start. */
  readonly droppedLines: () => number;
}

export interface LogOutputOptions {
  readonly sink: Sink;
  /** Bytes that may wait to be written. When they are used up, lines are dropped until half of it is free again. */
  readonly capacity: number;
  /** Makes the line that says how many were dropped. It goes where they would have been. */
  readonly droppedLine: (lines: number) => string;
  /** Reports trouble with the log itself. */
  readonly complain: (line: string) => void;
}

/**
 * Stands between the logger and a sink that may stall, fail and recover. Memory is bounded, lines stay whole and in order, and
 * the logger gets no errors. Lines are collected in blocks, because a system call for each would cost more than all the rest.
 */
export function createLogOutput({ sink, capacity, droppedLine, complain }: LogOutputOptions): LogOutput {
  const blocks = createBlockQueue(sink, complain);
  let text = '';
  let lines = 0;
  /** Since the last line that said so. */
  let dropped = 0;
  let droppedBefore = 0;

  const append = (line: string): void => {
    text += line;
    lines++;
    if (text.length >= BLOCK_LENGTH) seal();
  };
  const seal = (): void => {
    if (text === '') return;
    blocks.push(Buffer.from(text), lines);
    text = '';
    lines = 0;
  };
  const tick = (): void => {
    // One long gap with one line about it, instead of a gap each time that there is room for a line.
    if (dropped > 0 && blocks.bytes() + text.length <= capacity / 2) {
      append(droppedLine(dropped));
      droppedBefore += dropped;
      dropped = 0;
    }
    seal();
    blocks.drain();
  };
  setInterval(tick, TICK_MS).unref();

  return {
    write(line) {
      if (dropped > 0 || blocks.bytes() + text.length + line.length > capacity) dropped++;
      else append(line);
    },
    droppedLines: () => droppedBefore + dropped,

    async flush() {
      const end = performance.now() + FLUSH_MS;
      do {
        tick();
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
        if (blocks.lines() + lines + dropped === 0) return;
      } while (performance.now() < end);
      const left = blocks.lines() + lines + dropped;
      complain(`${String(left)} lines of the log are lost: ${blocks.trouble() ?? 'stdout is not read'}`);
    },
  };
}

/** Blocks of lines on their way to the sink, in order. One write is under way at a time. */
function createBlockQueue(sink: Sink, complain: (line: string) => void) {
  const queue: { bytes: Uint8Array; readonly lines: number }[] = [];
  let queued = 0;
  let writing = false;
  let retry: NodeJS.Timeout | undefined;
  let trouble: string | undefined;

  const drain = async (): Promise<void> => {
    if (writing) return;
    writing = true;
    try {
      while (queue.length > 0) {
        const written = await sink(queue.slice(0, BLOCKS_A_WRITE).map(({ bytes }) => bytes));
        if (written === 0) {
          askAgain();
          return;
        }
        trouble = undefined;
        remove(written);
      }
    } catch (error) {
      failed(error as NodeJS.ErrnoException);
    } finally {
      writing = false;
    }
  };
  const remove = (written: number): void => {
    queued -= written;
    for (let left = written, block = queue[0]; block !== undefined && left > 0; block = queue[0]) {
      const length = Math.min(left, block.bytes.length);
      left -= length;
      // The rest of a block that was written in part stays, because half a line would not be JSON.
      if (length < block.bytes.length) block.bytes = block.bytes.subarray(length);
      else queue.shift();
    }
  };
  const askAgain = (): void => {
    retry ??= setTimeout(() => {
      retry = undefined;
      void drain();
    }, RETRY_MS).unref();
  };
  const failed = ({ code, message }: NodeJS.ErrnoException): void => {
    if (code === 'EAGAIN') {
      askAgain();
      return;
    }
    // The next call tries again: a disk may have room later, or a named pipe another reader.
    if (trouble === undefined)
      complain(`The log cannot be written to stdout; the service continues: ${message}`);
    trouble = message;
  };

  return {
    bytes: () => queued,
    lines: () => queue.reduce((sum, block) => sum + block.lines, 0),
    /** The last error of the sink, unless it has taken something since. */
    trouble: () => trouble,
    push(bytes: Uint8Array, lines: number): void {
      queue.push({ bytes, lines });
      queued += bytes.length;
      if (retry === undefined) void drain();
    },
    drain(): void {
      void drain();
    },
  };
}
