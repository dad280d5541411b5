/**
 * What many tenants cost the embedded store, without HTTP: docs/decisions/008. Run it with
 *
 *     node --import=./.ci/typescript.mjs bench/tenants.ts [seconds a round] [rounds] [another checkout, to be compared with]
 *
 * Batches of 256 events, of tenants taken at random, one after the other, into a store that has 100,000 events already. A batch is one
 * transaction, however slow the machine, so that the bytes written do not depend on other work on it. The checkouts take turns; the
 * table has the median and the rounds.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as Store from '../src/store/embedded/embedded-store.ts';
import { DEFAULT_LIMITS } from '../src/store/embedded/writer.ts';
import { writtenBytes } from './harness/written.ts';
import { describeMachine } from './results.ts';

const [seconds = '3', rounds = '3', other] = process.argv.slice(2);
const TENANTS = [1, 100, 10_000];
const BATCH = 256;
const PREFILL = 100_000;
const PAYLOAD = JSON.stringify({ text: 'x'.repeat(500) });

async function round(checkout: string, tenants: number) {
  const url = pathToFileURL(resolve(checkout, 'src/store/embedded/embedded-store.ts')).href;
  const { openEmbeddedStore } = (await import(url)) as typeof Store;
  const path = mkdtempSync(join(tmpdir(), 'tenants-'));
  const store = await openEmbeddedStore({
    ...{ path, now: () => Date.now() * 1000, eventTtl: 604_800e6, sweepSeconds: 0, log: console },
    limits: { ...DEFAULT_LIMITS, batchMs: 10_000 },
    onFatal: (error) => {
      throw error;
    },
  });
  let last = Date.now() * 1000;
  const append = async () => {
    const tenant = `tenant-${String(Math.floor(Math.random() * tenants))}`;
    const createdAt = ++last;
    await store.append({
      ...{ id: store.newId(tenant, createdAt), tenant, createdAt, acknowledgedAt: null },
      ...{ source: 'bench', type: 'tenants', payload: PAYLOAD, metadata: null },
    });
  };
  const run = async (isOver: (appended: number) => boolean) => {
    let appended = 0;
    for (; !isOver(appended); appended += BATCH) await Promise.all(Array.from({ length: BATCH }, append));
    return appended;
  };
  await run((appended) => appended >= PREFILL);
  const [cpuBefore, writtenBefore, begun] = [process.cpuUsage(), writtenBytes(), performance.now()];
  const end = begun + Number(seconds) * 1000;
  const appended = await run(() => performance.now() >= end);
  const took = (performance.now() - begun) / 1000;
  const [cpu, written] = [process.cpuUsage(cpuBefore), writtenBytes() - writtenBefore];
  await store.close();
  rmSync(path, { recursive: true });
  return {
    rate: appended / took,
    cpu: (cpu.user + cpu.system) / appended,
    written: written / appended,
  };
}

const { machine, node, commit } = describeMachine();
console.log(`${new Date().toISOString().slice(0, 10)}, commit ${commit}, Node ${node}`);
console.log(`${machine}, files in ${tmpdir()}, load before: ${loadavg()[0]?.toFixed(1) ?? ''}\n`);
console.log('| store | tenants | events/s | µs of CPU an event | bytes written an event | rounds |');
console.log('| --- | --- | --- | --- | --- | --- |');
for (const tenants of TENANTS) {
  const checkouts = ['.', ...(other === undefined ? [] : [other])];
  const found = checkouts.map((): Awaited<ReturnType<typeof round>>[] => []);
  for (let i = 0; i < Number(rounds); i++) {
    for (const [index, checkout] of checkouts.entries()) found[index]?.push(await round(checkout, tenants));
  }
  for (const [index, list] of found.entries()) {
    const median = [...list].sort((a, b) => a.rate - b.rate)[Math.floor(list.length / 2)];
    if (median === undefined) continue;
    const columns = [
      index === 0 ? 'this one' : 'the other',
      tenants,
      median.rate.toFixed(0),
      median.cpu.toFixed(0),
      median.written.toFixed(0),
      list.map(({ rate }) => rate.toFixed(0)).join(', '),
    ];
    console.log(`| ${columns.join(' | ')} |`);
  }
}
