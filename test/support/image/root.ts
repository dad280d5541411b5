import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** A root file system in layers, as an image has it: the base, and what the stage has added. */
export interface Root {
  /** Folders, the topmost first. */
  readonly layers: readonly string[];
  /** OverlayFS needs an empty folder beside the layer that is written to. */
  readonly work: string;
}

export function newRoot(base: readonly string[], folder: string): Root {
  const layer = join(folder, 'layer');
  const work = join(folder, 'work');
  for (const path of [layer, work]) mkdirSync(path, { recursive: true });
  return { layers: [layer, ...base], work };
}

/**
 * A shell text that mounts the root at `$ROOT`, with /proc, the devices that Docker gives, and the machine's name servers. To be
 * run in a mount and PID namespace of its own, so that nothing is left mounted whatever happens.
 *
 * @param writable false: as `docker run --read-only` has it.
 */
export function mounting({ layers, work }: Root, writable: boolean): string {
  const [top, ...lower] = layers;
  const options = writable
    ? `lowerdir=${lower.join(':')},upperdir=${String(top)},workdir=${work}`
    : `ro,lowerdir=${layers.join(':')}`;
  return `
set -eu
# In a file system of this namespace, which goes with it.
mount -t tmpfs tmpfs /mnt
ROOT=/mnt/root
mkdir "$ROOT"
mount -t overlay overlay -o ${options} "$ROOT"
mount -t proc proc "$ROOT/proc"
mount -t tmpfs -o mode=755 tmpfs "$ROOT/dev"
for device in null zero full random urandom; do
  touch "$ROOT/dev/$device"
  mount --bind "/dev/$device" "$ROOT/dev/$device"
done
ln -s /proc/self/fd "$ROOT/dev/fd"
mkdir -m 1777 "$ROOT/dev/shm"
mount --bind /etc/resolv.conf "$ROOT/etc/resolv.conf"
`;
}

/** What comes before a shell text to run it in such namespaces. The shell is process 1 of its own. */
export const NAMESPACES = ['--mount', '--pid', '--fork', '--kill-child=SIGKILL', 'sh', '-c'] as const;

/** Runs a shell text in the namespaces, with `$ROOT` mounted for writing. Throws with its output when it fails. */
export function inRoot(root: Root, script: string, mounts = ''): void {
  const text = `${mounting(root, true)}${mounts}${script}`;
  try {
    execFileSync('unshare', [...NAMESPACES, text], { stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: Buffer; stderr: Buffer };
    throw new Error(`failed:\n${script}\n${String(stdout)}${String(stderr)}`, { cause: error });
  }
}

/** A word of a shell text. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** `env` with exactly these variables, in a folder. */
export function inEnvironment(env: ReadonlyMap<string, string>, folder: string): string {
  return [
    '/usr/bin/env',
    '-i',
    '-C',
    quoted(folder),
    ...[...env].map(([name, value]) => quoted(`${name}=${value}`)),
  ].join(' ');
}
