/**
 * `npm run bench -- profile [--traffic create-v1] [--clients 256] [--seconds 5] [--store dynamodb] [--of emulator] [--allocations]`:
 * where the main thread of the service, or of the dynalite that it writes to, spends its time (or allocates) at saturation,
 * on the embedded store unless told otherwise. Prints the functions with the most, and writes the profile to bench/results/
 * for Chrome DevTools or `npx speedscope`.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { oneOf, positive, UsageError } from '../harness/arguments.ts';
import { measure } from '../harness/load.ts';
import { describeMachine, introduction } from '../harness/machine.ts';
import type { StartOptions } from '../harness/service.ts';
import { buildService, startEmulator, startService } from '../harness/service.ts';
import type { Measurement } from '../load/job.ts';
import { boxesOf } from '../report/flame.ts';
import type { Call } from '../report/profiles.ts';
import { flatten, readAllocations, readCpu } from '../report/profiles.ts';
import { formatRecord } from '../report/record.ts';
import { address } from '../suites/setting.ts';

const WARM_UP_SECONDS = 3;
/** The costliest, as printed and as reported. */
const FUNCTIONS = 40;
const REPORTED = 15;

interface Wanted {
  readonly traffic: string;
  readonly clients: number;
  readonly seconds: number;
  readonly store: 'embedded' | 'dynamodb';
  readonly of: 'service' | 'emulator';
  readonly allocations: boolean;
}

export async function profile(args: string[]): Promise<number> {
  const wanted = readArguments(args);
  const { traffic, clients, store, of, allocations } = wanted;
  console.error(introduction());
  const startedAt = new Date().toISOString();
  const where = of === 'emulator' ? '-emulator' : store === 'dynamodb' ? '-dynamodb' : '';
  const file = `bench/results/${traffic}${where}.${allocations ? 'heapprofile' : 'cpuprofile'}`;
  mkdirSync('bench/results', { recursive: true });
  rmSync(file, { force: true });
  buildService();
  const { perSecond, errors, serverCores } = await profiled(wanted, file);

  console.log(
    `${traffic}, ${String(clients)} clients: ${perSecond.toFixed(0)} requests/s while profiled, ${String(errors)} errors, ` +
      `${serverCores?.toFixed(2) ?? '?'} cores`,
  );
  const text = readFileSync(file, 'utf8');
  const root = allocations ? readAllocations(text) : readCpu(text);
  print(root, allocations ? 'share of bytes' : 'share of time, without idle');
  console.log(`\n${file}`);
  if (!allocations && traffic === 'create-v1' && (of === 'emulator' || store === 'embedded')) {
    const results = { ...describeMachine(), of, startedAt, ...reported(root, of) };
    writeFileSync(`bench/results/profile-${of}.jsonl`, formatRecord({ profiles: [results] }));
  }
  return 0;
}

function readArguments(args: string[]): Wanted {
  const { values } = parseArgs({
    args,
    options: {
      traffic: { type: 'string', default: 'create-v1' },
      clients: { type: 'string', default: '256' },
      seconds: { type: 'string', default: '5' },
      store: { type: 'string', default: 'embedded' },
      of: { type: 'string', default: 'service' },
      allocations: { type: 'boolean', default: false },
    },
  });
  const store = oneOf('store', ['embedded', 'dynamodb'], values.store);
  if (values.of !== 'service' && (values.of !== 'emulator' || store !== 'dynamodb')) {
    throw new UsageError('--of takes service, or with --store dynamodb emulator');
  }
  return {
    ...values,
    store,
    of: values.of,
    clients: positive('clients', values.clients),
    seconds: positive('seconds', values.seconds),
  };
}

/** Has the profile written while the load is at its height. */
async function profiled(
  { traffic, clients, seconds, store, of, allocations }: Wanted,
  file: string,
): Promise<Measurement> {
  const profiler: StartOptions = {
    nodeArgs: ['--import=./bench/harness/profiler.mjs'],
    env: { PROFILE: allocations ? 'allocations' : 'cpu', PROFILE_FILE: file },
  };
  const emulator = store === 'dynamodb' ? await startEmulator(of === 'emulator' ? profiler : {}) : null;
  const service = await startService(emulator, of === 'emulator' ? {} : profiler);
  const pid = of === 'emulator' ? emulator?.pid : service.pid;
  if (pid == null) throw new Error('only a process that was started here can be profiled');
  const loading = measure(
    {
      kind: traffic === 'create-v1' ? 'saturate' : 'closed',
      traffic,
      clients,
      warmUpSeconds: WARM_UP_SECONDS,
      seconds: seconds + 1,
      ...address(service),
    },
    emulator ? 'any' : 'load',
  );
  await sleep((WARM_UP_SECONDS + 0.5) * 1000);
  process.kill(pid, 'SIGUSR2');
  await sleep(seconds * 1000);
  process.kill(pid, 'SIGUSR2');
  const measurement = await loading;
  while (!existsSync(file)) await sleep(100);
  await sleep(200);
  await service.stop();
  await emulator?.stop();
  return measurement;
}

function reported(root: Call, of: Wanted['of']) {
  const functions = flatten(root)
    .slice(0, REPORTED)
    .map(({ name, self, total }) => [name, self, total] as const);
  return { functions, boxes: of === 'service' ? boxesOf(root) : [] };
}

function print(root: Call, what: string): void {
  console.log(`   self  with callees  function (${what})`);
  for (const { name, self, total } of flatten(root).slice(0, FUNCTIONS)) {
    console.log(`${percent(self)}  ${percent(total).padStart(12)}  ${name}`);
  }
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`.padStart(7);
}
