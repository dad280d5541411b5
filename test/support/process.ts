import type { ChildProcessByStdio } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import type { Test } from 'tap';
import type { Json } from './app.ts';

export interface Service {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  readonly url: string;
  /** All of stdout and stderr so far. */
  readonly output: () => string;
  /** Resolves with the exit code, or the signal that ended the process. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

/** Runs `src/main.ts` in a process of its own. It is killed with the test, if it is still there. */
export function spawnMain(
  t: Test,
  env: Record<string, string>,
  command: readonly [string, ...string[]] = [
    process.execPath,
    '--import=./.ci/typescript.mjs',
    'src/main.ts',
  ],
): Omit<Service, 'url'> {
  const [program, ...args] = command;
  const child = spawn(program, args, {
    env: { ...process.env, NODE_ENV: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.on('close', (code, signal) => {
      resolve(signal ?? code ?? -1);
    });
  });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { child, output: () => output, ended };
}

/** Runs the service on a free port and waits until it listens. */
export async function startService(
  t: Test,
  env: Record<string, string>,
  command?: readonly [string, ...string[]],
): Promise<Service> {
  const service = spawnMain(t, { PORT: '0', SHUTDOWN_GRACE_SECONDS: '2', ...env }, command);
  const url = await new Promise<string>((resolve, reject) => {
    const look = (): void => {
      const line = jsonLines(service.output()).find(({ msg }) => msg === 'listening');
      if (!line) return;
      // The output of a service under load is too long to be read with each new line.
      service.child.stdout.off('data', look);
      resolve(String(line['url']));
    };
    service.child.stdout.on('data', look);
    void service.ended.then((end) => {
      reject(new Error(`the service ended (${String(end)}) before it listened:\n${service.output()}`));
    });
  });
  return { ...service, url };
}

/** What the service writes when it is started on a terminal. It is ended with the test. */
export async function startOnTerminal(t: Test): Promise<string> {
  const command = `${process.execPath} --import=./.ci/typescript.mjs src/main.ts`;
  // `script` gives the process a terminal.
  const { child, ended, output } = spawnMain(t, { PORT: '0', DATA_DIR: t.testdir() }, [
    'script',
    '-qec',
    command,
    '/dev/null',
  ]);
  while (!/curl [^\n]+\n/.test(output())) await once(child.stdout, 'data');
  child.kill('SIGTERM');
  await ended;
  return output();
}

/** The lines that are JSON; the last one may still be on its way. */
export function jsonLines(output: string): Json[] {
  return output.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as Json];
    } catch {
      return [];
    }
  });
}
