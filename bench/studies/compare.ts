/**
 * `npm run bench -- compare <commit> <commit> ... [--store dynamodb] [--rounds 5] [--seconds 4]`: ingest of several commits of
 * this repository, on the embedded store unless told otherwise, which take turns in fresh processes. `.` is the working tree.
 * `--with NAME=VALUE` measures each of them a second time with that environment variable, to see what it costs.
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
  readonly env: Readonly<Record<string, string>>;
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
      with: { type: 'string' },
    },
  });
  if (positionals.length === 0) throw new UsageError('compare takes commits; "." is the working tree');
  const store = oneOf('store', ['embedded', 'dynamodb'], values.store);
  const variable = values.with === undefined ? undefined : environmentOf(values.with);
  const [rounds, seconds] = [positive('rounds', values.rounds), positive('seconds', values.seconds)];

  console.error(introduction());
  const folder = mkdtempSync(join(tmpdir(), 'bench-compare-'));
  const builds: Build[] = [];
  try {
    for (const commit of positionals) {
      const path = build(commit, folder);
      builds.push({ commit, path, env: {}, rounds: [] });
      if (variable) builds.push({ commit: `${commit} with`, path, env: variable, rounds: [] });
    }
    for (let round = 0; round < rounds; round++) {
      for (const each of round % 2 === 0 ? builds : builds.toReversed()) {
        console.error(`  ${each.commit}, round ${String(round + 1)}`);
        each.rounds.push(await ingest(each, store, seconds));
      }
    }
  } finally {
    for (const path of new Set(builds.map((each) => each.path))) {
      if (path !== resolve('.')) execFileSync('git', ['worktree', 'remove', '--force', path]);
    }
    rmSync(folder, { recursive: true });
  }
  print(builds);
  return 0;
}

function print(builds: readonly Build[]): void {
  const width = Math.max(8, ...builds.map(({ commit }) => commit.length));
  console.log(`${'commit'.padEnd(width)}  events/s  CPU µs an event  rounds`);
  for (const { commit, rounds } of builds) {
    const cpu = rounds
      .map(({ perSecond, serverCores }) => ((serverCores ?? NaN) * 1e6) / perSecond)
      .sort((a, b) => a - b);
    console.log(
      [
        commit.padEnd(width),
        median({ rounds }, 'perSecond').toFixed(0).padStart(9),
        (cpu[Math.floor(cpu.length / 2)] ?? NaN).toFixed(1).padStart(16),
        ` ${rounds.map(({ perSecond }) => perSecond.toFixed(0)).join(', ')}`,
      ].join(' '),
    );
  }
}

/** @param text `NAME=VALUE`. */
function environmentOf(text: string): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError('--with takes NAME=VALUE');
  return { [text.slice(0, at)]: text.slice(at + 1) };
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

async function ingest(build: Build, store: StoreName, seconds: number): Promise<Measurement> {
  const emulator = store === 'dynamodb' ? await startEmulator() : null;
  try {
    return await ingestOn(emulator, build, seconds);
  } finally {
    await emulator?.stop();
  }
}

async function ingestOn(
  emulator: Emulator | null,
  { path, env }: Build,
  seconds: number,
): Promise<Measurement> {
  const service = await startService(emulator, { script: join(path, 'dist/main.js'), env });
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
