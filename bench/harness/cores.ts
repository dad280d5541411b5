import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/**
 * Where a process runs. The server under measurement has a core of its own and the load another, so that neither measures
 * the other; `any` leaves it to the kernel, as where an emulator is the third at the table.
 */
export type Place = 'server' | 'load' | 'any';

/** Whether places are kept: Linux with two cores and `taskset` (util-linux). */
export const pinned =
  process.platform === 'linux' &&
  availableParallelism() >= 2 &&
  spawnSync('taskset', ['--version']).error === undefined;

/** The command that runs a script of this project on its core. */
export function nodeCommand(place: Place, args: readonly string[]): [string, ...string[]] {
  const node: [string, ...string[]] = [process.execPath, ...args];
  if (!pinned || place === 'any') return node;
  return ['taskset', '-c', place === 'server' ? '0' : '1', ...node];
}

/** Kernels count CPU time in these (`USER_HZ`), whatever their own tick. */
const TICKS_PER_SECOND = 100;

/** Seconds of CPU that a process and its threads have used; null where the system does not tell. */
export function cpuSeconds(pid: number): number | null {
  try {
    // The name, in brackets, may hold spaces.
    const fields =
      readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
        .split(') ')[1]
        ?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return null;
  }
}
