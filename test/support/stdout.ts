import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import autocannon from 'autocannon';
import { freePort } from '../../src/cli/dynamodb-local.ts';

export interface Logging {
  readonly pid: number;
  readonly url: string;
  /** All of stderr so far. */
  readonly errors: () => string;
  /** Resolves with the exit code, or the signal that ended the process. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

const MAIN = [process.execPath, '--import=./.ci/typescript.mjs', 'src/main.ts'];

/**
 * Runs the service with its stdout wherever a test wants it, and waits until it answers: what it logs may never be
 * seen. It is killed with the test, if it is still there.
 *
 * @param stdout a descriptor, which is closed here; or a socket that nobody reads.
 */
export async function startLogging(
  t: Test,
  stdout: number | 'socket',
  { env = {}, wrap = [] }: { env?: Record<string, string>; wrap?: readonly string[] } = {},
): Promise<Logging> {
  const port = String(await freePort());
  const [program = '', ...args] = [...wrap, ...MAIN];
  const child = spawn(program, args, {
    env: { ...process.env, NODE_ENV: '', SHUTDOWN_GRACE_SECONDS: '2', PORT: port, ...env },
    // A pipe in Node's terms is a pair of sockets.
    stdio: ['ignore', stdout === 'socket' ? 'pipe' : stdout, 'pipe'],
  });
  if (stdout !== 'socket') closeSync(stdout);
  let errors = '';
  const stderr = child.stderr as Readable;
  stderr.on('data', (data: Buffer) => (errors += data.toString()));
  const ended = Promise.all([once(child, 'exit'), once(stderr, 'close')]).then(
    () => child.signalCode ?? child.exitCode ?? -1,
  );
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const url = `http://127.0.0.1:${port}`;
  while (!(await answers(url))) {
    if (child.exitCode !== null) throw new Error(`the service ended before it answered:\n${errors}`);
    await sleep(50);
  }
  return { pid: child.pid ?? 0, url, errors: () => errors, ended };
}

/** A named pipe of 64 KiB. `reader` is its only reader, and reads nothing before a test reads. */
export function makePipe(t: Test): { reader: Socket; writeEnd: number } {
  const path = join(t.testdir({ pipe: {} }), 'pipe', 'fifo');
  execFileSync('mkfifo', [path]);
  const readEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeEnd = openSync(path, constants.O_WRONLY);
  const reader = new Socket({ fd: readEnd, readable: true, writable: false });
  reader.pause();
  t.teardown(() => reader.destroy());
  return { reader, writeEnd };
}

/** Requests that are logged with some 3 KB each. Every one of them must be answered with 200. */
export async function makeLongLines({ url }: Pick<Logging, 'url'>, requests: number): Promise<void> {
  const { errors, non2xx } = await autocannon({
    url: `${url}/v1/health?source=${'x'.repeat(3_000)}`,
    amount: requests,
    connections: 32,
  });
  if (errors + non2xx > 0)
    throw new Error(`${String(errors)} requests failed, ${String(non2xx)} were refused`);
}

export async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/v1/health`)).status === 200;
  } catch {
    return false;
  }
}

/** Resident memory of a process, in MiB. */
export function residentMiB(pid: number): number {
  const [, kib] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8')) ?? [];
  return Number(kib) / 1024;
}

/** Waits as long as the test may take. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(20);
}
