import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { pinned } from './cores.ts';

/** What every figure stands beside: where and of what it was measured. */
export interface Machine {
  readonly machine: string;
  readonly node: string;
  /** Of the service and its benchmark; `-dirty` with changes that are not committed. */
  readonly commit: string;
  readonly pinned: boolean;
}

export function describeMachine(): Machine {
  const memory = Math.round(totalmem() / 2 ** 30);
  return {
    machine:
      `${String(availableParallelism())} x ${cpus()[0]?.model ?? 'unknown CPU'}, ${String(memory)} GiB, ` +
      `${process.platform} ${release()}`,
    node: process.version,
    commit: describeCommit(),
    pinned,
  };
}

/** The line that every command prints first: date, commit, Node, machine and how busy it is. */
export function introduction(): string {
  const { machine, node, commit } = describeMachine();
  const load = loadavg()[0]?.toFixed(2) ?? '?';
  return (
    `${new Date().toISOString()}, commit ${commit}, Node ${node}; ${machine}; ` +
    `load before: ${load} (other work on the machine makes all of this worse)`
  );
}

function describeCommit(): string {
  const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim();
  try {
    const dirty = git('status', '--porcelain', '--', 'src', 'bench', 'package-lock.json') !== '';
    return git('rev-parse', '--short', 'HEAD') + (dirty ? '-dirty' : '');
  } catch {
    return 'unknown';
  }
}
