/**
 * Loaded into the service by `npm run bench -- profile`. SIGUSR2 starts a profile of the main thread, the next one writes it
 * to PROFILE_FILE. PROFILE is `cpu` or `allocations`. JavaScript, so that the built service takes it as it is.
 */
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';

const kind = process.env['PROFILE'];
const session = new Session();
session.connect();
let running = false;

process.on('SIGUSR2', async () => {
  if (!running) await (kind === 'cpu' ? startCpu() : startAllocations());
  else {
    const stopped =
      kind === 'cpu' ? await session.post('Profiler.stop') : await session.post('HeapProfiler.stopSampling');
    writeFileSync(process.env['PROFILE_FILE'] ?? '', JSON.stringify(stopped.profile));
  }
  running = !running;
});

async function startCpu() {
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: 200 });
  await session.post('Profiler.start');
}

/** With what has been collected again: it is that which costs. */
async function startAllocations() {
  await session.post('HeapProfiler.startSampling', {
    samplingInterval: 4096,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  });
}
