import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import { DEFAULT_LIMITS } from '../../src/store/embedded/writer.ts';
import { sampleEvent } from '../harness/event.ts';
import type { Measurement, Timed } from './job.ts';
import { createMeter } from './measuring.ts';

export interface Appends extends Timed {
  /** Each event is of one of them, at random. */
  readonly tenants: number;
  /** Events that the store has before it is measured, if it takes them in time. */
  readonly stored: number;
}

/** Of one transaction, however slow the machine: the bytes that it writes then do not depend on other work. */
const BATCH = 256;
/** A disk that takes too long for `stored` has shown what it does. */
const FILL_SECONDS = 15;
const PAYLOAD = JSON.stringify({ text: 'x'.repeat(500) });

/**
 * Events that are appended to the embedded store of this process in batches, one after the other: what the store alone
 * costs, without HTTP, keys and the log. An event's time is that of its batch.
 */
export async function runAppends({ tenants, stored, warmUpSeconds, seconds }: Appends): Promise<Measurement> {
  const path = mkdtempSync(join(tmpdir(), 'bench-append-'));
  const store = await openEmbeddedStore({
    ...{ path, now: () => Date.now() * 1000, eventTtl: 604_800e6, sweepSeconds: 0, log: console },
    limits: { ...DEFAULT_LIMITS, batchMs: 10_000 },
    onFatal: (error) => {
      throw error;
    },
  });
  const meter = createMeter({ pid: process.pid });
  let last = Date.now() * 1000;
  const append = async (): Promise<void> => {
    const tenant = `tenant-${String(Math.floor(Math.random() * tenants))}`;
    const createdAt = ++last;
    const start = performance.now();
    await store.append(
      sampleEvent(createdAt, { id: store.newId(tenant, createdAt), tenant, payload: PAYLOAD }),
    );
    meter.answered(performance.now() - start);
  };
  const appendUntil = async (forSeconds: number, most = Infinity): Promise<void> => {
    const end = performance.now() + forSeconds * 1000;
    for (let appended = 0; appended < most && performance.now() < end; appended += BATCH)
      await Promise.all(Array.from({ length: BATCH }, append));
  };
  await appendUntil(FILL_SECONDS, stored);
  await appendUntil(warmUpSeconds);
  meter.begin();
  await appendUntil(seconds);
  const measurement = meter.end();
  await store.close();
  rmSync(path, { recursive: true });
  return measurement;
}
