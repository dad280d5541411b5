import type { ChildProcessByStdio } from 'node:child_process';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { Readable } from 'node:stream';
import type { Test } from 'tap';
import { jsonLines } from '../process.ts';
import type { Image } from './build.ts';
import { inEnvironment, mounting, NAMESPACES, quoted } from './root.ts';

export interface Container {
  /** All of stdout and stderr so far. */
  readonly output: () => string;
  /** Resolves with the exit code of the command. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Resolves once the service says that it listens. Rejects when it ends before. */
  readonly listening: Promise<void>;
  /** Sends a signal to the command, which is process 1 in the container. */
  kill(signal: string): void;
  /** Runs a command beside it, as `docker exec` does. */
  exec(
    command: readonly string[],
  ): Promise<{ code: number | null; stdout: string; stderr: string; ms: number }>;
}

/**
 * Starts the image's command as the image's user, as process 1 of a namespace, without any capability, on a root that is mounted
 * read-only. It is killed with the test.
 *
 * @param volumes folders of this machine by their path in the container.
 */
export function startContainer(
  t: Test,
  image: Image,
  { env = {}, volumes = {} }: { env?: Record<string, string>; volumes?: Record<string, string> },
): Container {
  const mounts = Object.entries(volumes).map(([to, from]) => `mount --bind ${quoted(from)} "$ROOT${to}"\n`);
  const words = [...image.entrypoint, ...image.cmd];
  const whole = new Map([...image.env, ['HOME', '/home/node'], ...Object.entries(env)]);
  const start = `${mounting(image.root, false)}${mounts.join('')}exec chroot "$ROOT" ${asUser(image, whole, words)}`;
  const child = spawn('unshare', [...NAMESPACES, start], { stdio: ['ignore', 'pipe', 'pipe'] });
  const { ended, output } = watch(child);
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const listening = new Promise<void>((resolve, reject) => {
    child.stdout.on('data', () => {
      if (jsonLines(output()).some(({ msg }) => msg === 'listening')) resolve();
    });
    void ended.then((end) => {
      reject(new Error(`ended (${String(end)}) before it listened:\n${output()}`));
    });
  });
  // A container that is meant to refuse its start is asked for `ended` only.
  listening.catch(() => undefined);

  return {
    ...{ output, ended, listening },
    kill(signal) {
      process.kill(firstProcess(child), signal);
    },
    async exec(command) {
      const begun = performance.now();
      const inside = `nsenter -t ${String(firstProcess(child))} --mount --pid --root`;
      const beside = spawn('sh', ['-c', `exec ${inside} ${asUser(image, whole, command)}`], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const code = new Promise<number | null>((resolve) => beside.on('close', resolve));
      const [stdout, stderr] = await Promise.all([text(beside.stdout), text(beside.stderr)]);
      return { code: await code, stdout, stderr, ms: performance.now() - begun };
    },
  };
}

/** `setpriv` and `env` of the image's Debian: as the user, with nothing that root has, in the working folder. */
function asUser(
  { user, workdir }: Image,
  env: ReadonlyMap<string, string>,
  command: readonly string[],
): string {
  const [uid = '', gid = ''] = user.split(':');
  const drop = `--reuid=${uid} --regid=${gid} --clear-groups --inh-caps=-all --ambient-caps=-all --bounding-set=-all`;
  return `/usr/bin/setpriv ${drop} --no-new-privs ${inEnvironment(env, workdir)} ${command.map(quoted).join(' ')}`;
}

function watch(child: ChildProcessByStdio<null, Readable, Readable>) {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => (output += data.toString()));
  }
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.on('close', (code, signal) => {
      resolve(signal ?? code ?? -1);
    });
  });
  return { ended, output: () => output };
}

/** `unshare` forks, and its child is process 1. */
function firstProcess({ pid }: { pid?: number | undefined }): number {
  const path = `/proc/${String(pid)}/task/${String(pid)}/children`;
  const children = existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
  if (!/^\d+$/.test(children)) throw new Error('the container has ended');
  return Number(children);
}
