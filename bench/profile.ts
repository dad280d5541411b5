/**
 * `npm run bench:profile [-- --traffic create-v1 --clients 256 --seconds 5 --store dynamodb --of emulator --allocations]`: where the main
 * thread of the service, or of the dynalite that it writes to, spends its time (or allocates) at saturation (on the embedded store unless told
 * otherwise). Prints the functions with the most, and writes the profile to bench/results/ for Chrome DevTools or `npx speedscope`.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { measure } from './harness/load.ts';
import { startEmulator, startService } from './harness/service.ts';
import { flatten, readAllocations, readCpu } from './harness/profiles.ts';
import { address } from './setting.ts';

const { values } = parseArgs({
  options: {
    traffic: { type: 'string', default: 'create-v1' },
    clients: { type: 'string', default: '256' },
    seconds: { type: 'string', default: '5' },
    store: { type: 'string', default: 'embedded' },
    of: { type: 'string', default: 'service' },
    allocations: { type: 'boolean', default: false },
  },
});

const WARM_UP_SECONDS = 3;
const FUNCTIONS = 40;

const kind = values.allocations ? 'allocations' : 'cpu';
const onDynamo = values.store === 'dynamodb';
const ofEmulator = values.of === 'emulator';
if (ofEmulator ? !onDynamo : values.of !== 'service') {
  console.error('--of takes service, or with --store dynamodb emulator');
  process.exit(2);
}
const where = ofEmulator ? '-emulator' : onDynamo ? '-dynamodb' : '';
const file = `bench/results/${values.traffic}${where}.${values.allocations ? 'heapprofile' : 'cpuprofile'}`;
mkdirSync('bench/results', { recursive: true });
rmSync(file, { force: true });
const profiler = {
  nodeArgs: ['--import=./bench/harness/profiler.mjs'],
  env: { PROFILE: kind, PROFILE_FILE: file },
};
const emulator = onDynamo ? await startEmulator(ofEmulator ? profiler : {}) : null;
const service = await startService(emulator, ofEmulator ? {} : profiler);
const profiled = (ofEmulator ? emulator?.pid : service.pid) ?? null;
if (profiled === null) throw new Error('only a process that was started here can be profiled');
const seconds = Number(values.seconds);
const constant = values.traffic === 'create-v1';
const loading = measure(
  {
    kind: constant ? 'saturate' : 'closed',
    traffic: values.traffic,
    clients: Number(values.clients),
    warmUpSeconds: WARM_UP_SECONDS,
    seconds: seconds + 1,
    ...address(service),
  },
  emulator ? 'any' : 'load',
);
await sleep((WARM_UP_SECONDS + 0.5) * 1000);
process.kill(profiled, 'SIGUSR2');
await sleep(seconds * 1000);
process.kill(profiled, 'SIGUSR2');
const { perSecond, errors, serverCores } = await loading;
while (!existsSync(file)) await sleep(100);
await sleep(200);
await service.stop();
await emulator?.stop();

console.log(
  `${values.traffic}, ${values.clients} clients: ${perSecond.toFixed(0)} requests/s while profiled, ${String(errors)} errors, ` +
    `${serverCores?.toFixed(2) ?? '?'} cores`,
);
const root = values.allocations
  ? readAllocations(readFileSync(file, 'utf8'))
  : readCpu(readFileSync(file, 'utf8'));
console.log(
  values.allocations
    ? '   self  with callees  function (share of bytes)'
    : '   self  with callees  function (share of time, without idle)',
);
for (const { name, self, total } of flatten(root).slice(0, FUNCTIONS)) {
  console.log(`${percent(self)}  ${percent(total).padStart(12)}  ${name}`);
}
console.log(`\n${file}`);

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`.padStart(7);
}
