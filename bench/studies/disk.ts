/**
 * `npm run bench -- disk`: how much of the disk an event of the embedded store takes, by the size of its payload, and what of it
 * acknowledging and deleting give back. Counts the pages of LMDB's file that are in use, so timing does not matter.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StoredEvent } from '../../src/store/event.ts';
import { openLmdb } from '../../src/store/embedded/database.ts';
import { openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import type { EmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import { sampleEvent } from '../harness/event.ts';
import { introduction } from '../harness/machine.ts';

const PAYLOAD_BYTES = [100, 1_000, 3_000, 10_000, 100_000, 409_600];
/** Of payload for each size: enough that the trees above the events do not count. */
const TOTAL_BYTES = 40_000_000;
const MOST_EVENTS = 20_000;
const CALLERS = 256;

export async function disk(): Promise<number> {
  console.log(introduction());
  console.log(
    'bytes an event: payload, pending, with a claim (idempotency key), acknowledged, deleted; file',
  );
  for (const bytes of PAYLOAD_BYTES) {
    const plain = await measure(bytes, false);
    const claimed = await measure(bytes, true);
    const row = [bytes, plain.pending, claimed.pending, plain.acknowledged, plain.deleted, plain.file];
    console.log(row.map((value) => String(Math.round(value)).padStart(9)).join(' '));
  }
  return 0;
}

/** All in bytes for each event; `file` is the size of the file, which does not shrink. */
async function measure(payloadBytes: number, claims: boolean) {
  const folder = mkdtempSync(join(tmpdir(), 'triggers-disk-'));
  try {
    const count = Math.min(MOST_EVENTS, Math.floor(TOTAL_BYTES / payloadBytes));
    const payload = JSON.stringify({ fill: 'x'.repeat(payloadBytes - '{"fill":""}'.length) });
    let time = Date.now() * 1000;
    const events: StoredEvent[] = [];
    const empty = await usedBytes(folder, () => Promise.resolve());
    const pending = await usedBytes(folder, async (store) => {
      for (let n = 0; n < count; n++) {
        const createdAt = ++time;
        events.push(sampleEvent(createdAt, { id: store.newId('acme', createdAt), payload }));
      }
      await each(events, (event) => store.append(event, claims ? claimOf(event) : undefined));
    });
    const acknowledged = await usedBytes(folder, (store) =>
      each(events, ({ id }) => store.acknowledge('acme', id, ++time)),
    );
    const deleted = await usedBytes(folder, (store) => each(events, ({ id }) => store.remove('acme', id)));
    return {
      pending: (pending - empty) / count,
      acknowledged: (acknowledged - empty) / count,
      deleted: (deleted - empty) / count,
      file: statSync(join(folder, 'store.mdb')).size / count,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function claimOf({ id, createdAt }: StoredEvent) {
  const hash = createHash('sha256').update(id).digest('hex');
  return { key: hash, fingerprint: hash, expiresAt: createdAt + 604_800e6 };
}

/** Does something to the store, and tells how many bytes of its file are in use afterwards. */
async function usedBytes(path: string, change: (store: EmbeddedStore) => Promise<void>): Promise<number> {
  const quiet = () => undefined;
  const store = await openEmbeddedStore({
    ...{ path, now: () => Date.now() * 1000, eventTtl: 604_800e6, sweepSeconds: 0 },
    log: { info: quiet, warn: quiet, error: quiet },
    onFatal: (error) => {
      throw error;
    },
  });
  await change(store);
  await store.close();
  const lmdb = openLmdb(join(path, 'store.mdb'), quiet);
  const used = lmdb.end() - lmdb.reusable();
  await lmdb.close();
  return used;
}

async function each<T>(items: readonly T[], run: (item: T) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < items.length; at += CALLERS) {
    await Promise.all(items.slice(at, at + CALLERS).map(run));
  }
}
