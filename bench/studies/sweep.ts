/**
 * `npm run bench -- sweep [--seconds 10] [--checkout .]`: whether the sweep keeps up with ingest, on the embedded store alone, of
 * this checkout or of another: docs/decisions/008.
 *
 * Callers write their next event when the one before is on disk. Time goes so fast that a week, for which events live, takes two
 * seconds, and after a warm-up as many expire as come. A sweep keeps up when what it has left behind is about what expires between
 * two of its runs, a tenth of a second.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { open } from 'lmdb';
import type * as Store from '../../src/store/embedded/embedded-store.ts';
import { positive } from '../harness/arguments.ts';
import { sampleEvent } from '../harness/event.ts';
import { introduction } from '../harness/machine.ts';

const WEEK: number = 7 * 86_400e6;
/** From expiry to deletion. */
const DAY: number = 86_400e6;
const LIFETIME_MS = 2_000;
const begun = Date.now() * 1000;
/** Microseconds. */
const now = () => begun + Math.floor((performance.now() / LIFETIME_MS) * WEEK);
const PAYLOAD = JSON.stringify({ text: 'x'.repeat(500) });

interface Scenario {
  readonly callers: number;
  /** Events that bring a claim, which ends after half a lifetime. */
  readonly claims: boolean;
}

async function round({ openEmbeddedStore }: typeof Store, { callers, claims }: Scenario, seconds: number) {
  const path = mkdtempSync(join(tmpdir(), 'sweep-'));
  let last = 0;
  const tick = () => (last = Math.max(last + 1, now()));
  const store = await openEmbeddedStore({
    ...{ path, now, monotonicMs: () => now() / 1000, eventTtl: WEEK, sweepSeconds: 0.1 },
    log: console,
    onFatal: (error) => {
      throw error;
    },
  });
  let appended = 0;
  let isOver = false;
  const caller = async () => {
    while (!isOver) {
      const createdAt = tick();
      const id = store.newId('acme', createdAt);
      const event = sampleEvent(createdAt, { id, payload: PAYLOAD });
      const key = claims ? createHash('sha256').update(id).digest('hex') : '';
      await store.append(
        event,
        claims ? { key, fingerprint: key, expiresAt: createdAt + WEEK / 2 } : undefined,
      );
      appended++;
    }
  };
  const callersEnd = Promise.all(Array.from({ length: callers }, caller));
  const sizes = sizesOf(path);
  await sleep(1.5 * LIFETIME_MS);
  const [before, appendedBefore, cpuBefore] = [sizes.read(), appended, process.cpuUsage()];
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  await sleep(seconds * 1000);
  delay.disable();
  const [after, cpu] = [sizes.read(), process.cpuUsage(cpuBefore)];
  const added = appended - appendedBefore;
  isOver = true;
  await callersEnd;
  await sizes.close();
  await store.close();
  const { size } = statSync(join(path, 'store.mdb'));
  rmSync(path, { recursive: true });
  return {
    ingested: added / seconds,
    swept: (added - (after.events - before.events)) / seconds,
    claimsSwept: claims ? (added - (after.claims - before.claims)) / seconds : 0,
    left: after.expired,
    p99: delay.percentile(99) / 1e6,
    max: delay.max / 1e6,
    cpu: (cpu.user + cpu.system) / added,
    size,
  };
}

function sizesOf(path: string) {
  const binary = { encoding: 'binary', keyEncoding: 'binary', cache: false } as const;
  const root = open<Buffer, Buffer>({
    path: join(path, 'store.mdb'),
    noSubdir: true,
    overlappingSync: false,
    ...binary,
  });
  const [events, claims] = ['events', 'claims'].map((name) =>
    root.openDB<Buffer, Buffer>({ name, ...binary }),
  );
  const count = (table: typeof events, end?: Buffer) => table?.getKeysCount(end ? { end } : {}) ?? NaN;
  return {
    read() {
      const end = Buffer.alloc(8);
      end.writeBigUInt64BE(BigInt(now() - WEEK - DAY));
      return { events: count(events), expired: count(events, end), claims: count(claims) };
    },
    close: () => root.close(),
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

export async function sweep(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { seconds: { type: 'string', default: '10' }, checkout: { type: 'string', default: '.' } },
  });
  const seconds = positive('seconds', values.seconds);
  const { href } = pathToFileURL(resolve(values.checkout, 'src/store/embedded/embedded-store.ts'));
  const store = (await import(href)) as typeof Store;
  console.error(`${introduction()}; store of ${values.checkout}, files in ${tmpdir()}`);
  console.log(
    '| callers | claims | ingested/s | events swept/s | claims swept/s | expired and left | loop p99 ms | max ms | µs of CPU an event | file MB |',
  );
  console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |');
  for (const scenario of [256, 2_000].flatMap((callers) => [
    { callers, claims: false },
    { callers, claims: true },
  ])) {
    const found = await round(store, scenario, seconds);
    const columns = [
      scenario.callers,
      scenario.claims ? 'one each' : 'none',
      Math.round(found.ingested),
      Math.round(found.swept),
      Math.round(found.claimsSwept),
      found.left,
      found.p99.toFixed(0),
      found.max.toFixed(0),
      found.cpu.toFixed(0),
      (found.size / 1e6).toFixed(0),
    ];
    console.log(`| ${columns.join(' | ')} |`);
  }
  return 0;
}
