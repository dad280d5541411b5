/**
 * `npm run bench -- compare <commit> <commit> ... [--store dynamodb] [--rounds 5] [--seconds 4]`: ingest of several commits of
 * this repository, on the embedded store unless told otherwise, which take turns in fresh processes. `.` is the working tree.
 * For changes of a few percent, which the noise between two runs of `npm run bench` would hide.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { oneOf, positive, UsageError } from '../harness/arguments.ts';
import { measure } from '../harness/load.ts';
import { introduction } from '../harness/machine.ts';
import type { Emulator, StoreName } from '../harness/service.ts';
import { buildService, startEmulator, startService } from '../harness/service.ts';
import type { Measurement } from '../load/job.ts';
import { median } from '../report/results.ts';
import { address, CROWD } from '../suites/setting.ts';

interface Build {
  readonly commit: string;
  readonly path: string;
  readonly rounds: Measurement[];
}

export async function compare(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      store: { type: 'string', default: 'embedded' },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '4' },
    },
  });
  if (positionals.length === 0) throw new UsageError('compare takes commits; "." is the working tree');
  const store = oneOf('store', ['embedded', 'dynamodb'], values.store);
  const [rounds, seconds] = [positive('rounds', values.rounds), positive('seconds', values.seconds)];

  console.error(introduction());
  const folder = mkdtempSync(join(tmpdir(), 'bench-compare-'));
  const builds: Build[] = [];
  try {
    for (const commit of positionals) builds.push({ commit, path: build(commit, folder), rounds: [] });
    for (let round = 0; round < rounds; round++) {
      for (const each of round % 2 === 0 ? builds : builds.toReversed()) {
        console.error(`  ${each.commit}, round ${String(round + 1)}`);
        each.rounds.push(await ingest(each.path, store, seconds));
      }
    }
  } finally {
    for (const { commit, path } of builds) {
      if (commit !== '.') execFileSync('git', ['worktree', 'remove', '--force', path]);
    }
    rmSync(folder, { recursive: true });
  }
  print(builds);
  return 0;
}

function print(builds: readonly Build[]): void {
  console.log('commit    events/s  CPU µs an event  rounds');
  for (const { commit, rounds } of builds) {
    const cpu = rounds
      .map(({ perSecond, serverCores }) => ((serverCores ?? NaN) * 1e6) / perSecond)
      .sort((a, b) => a - b);
    console.log(
      [
        commit.slice(0, 8).padEnd(8),
        median({ rounds }, 'perSecond').toFixed(0).padStart(9),
        (cpu[Math.floor(cpu.length / 2)] ?? NaN).toFixed(1).padStart(16),
        ` ${rounds.map(({ perSecond }) => perSecond.toFixed(0)).join(', ')}`,
      ].join(' '),
    );
  }
}

/** Where the commit is built. */
function build(commit: string, folder: string): string {
  if (commit === '.') {
    buildService();
    return resolve('.');
  }
  const path = join(folder, commit.replaceAll('/', '-'));
  execFileSync('git', ['worktree', 'add', '--detach', path, commit], { stdio: 'ignore' });
  if (!existsSync(join(path, 'node_modules')))
    symlinkSync(resolve('node_modules'), join(path, 'node_modules'));
  buildService(path);
  return path;
}

async function ingest(path: string, store: StoreName, seconds: number): Promise<Measurement> {
  const emulator = store === 'dynamodb' ? await startEmulator() : null;
  try {
    return await ingestOn(emulator, path, seconds);
  } finally {
    await emulator?.stop();
  }
}

async function ingestOn(emulator: Emulator | null, path: string, seconds: number): Promise<Measurement> {
  const service = await startService(emulator, { script: join(path, 'dist/main.js') });
  try {
    const measurement = await measure(
      {
        kind: 'saturate',
        traffic: 'create-v1',
        clients: CROWD,
        warmUpSeconds: 2,
        seconds,
        ...address(service),
      },
      emulator ? 'any' : 'load',
    );
    const { requests, errors, firstError } = measurement;
    if (requests === 0 || errors > 0) throw new Error(`${path} answers wrongly: ${String(firstError)}`);
    return measurement;
  } finally {
    await service.stop();
  }
}
