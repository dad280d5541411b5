import { createShares } from '../shares.ts';
import { StoreOverloadedError } from '../store-errors.ts';
import type { StoreObserver } from '../store-observer.ts';
import { createWriteLines, type Call, type Write } from './write-lines.ts';
import type { WriterLimits } from './writer.ts';

export type WriteQueue = ReturnType<typeof createWriteQueue>;

/**
 * Writes that wait for a transaction. Time bounds the queue, and so do number and bytes, which tenants share.
 *
 * What fits into one transaction is run in the order of arrival, in which LMDB fills its pages to the end. When more waits,
 * tenants take turns: one that floods delays another's write by a transaction, not by all that it has in the queue. See
 * docs/decisions/033-overload.md.
 */
export function createWriteQueue(limits: WriterLimits, observer: Pick<StoreObserver, 'refused'>) {
  const { batchWrites, batchBytes, waitingWrites, waitingBytes } = limits;
  const places = createShares(waitingWrites);
  const memory = createShares(waitingBytes);
  const lines = createWriteLines();
  let byTurns = false;
  let lastSyncMs = 0;

  return {
    isEmpty: () => lines.oldest() === undefined,

    size: () => places.held(),

    /** Returns false when the share of its tenant is used up. */
    push(call: Call): boolean {
      const fits = hold(call);
      if (fits) lines.add(call);
      else observer.refused();
      return fits;
    },

    /** To be called when a transaction begins. */
    begin(now: number): void {
      rejectLate(now);
      byTurns = places.held() > batchWrites || memory.held() > batchBytes;
    },

    /** The next write, if it still fits into a batch that has `size` writes and `bytes`. The first write always fits. */
    next(size: number, bytes: number): Write | undefined {
      const write = byTurns ? lines.inTurn() : lines.oldest();
      if (write === undefined) return undefined;
      const isFull = size + write.writes > batchWrites || bytes + write.bytes > batchBytes;
      if (size > 0 && isFull) return undefined;
      return take(write);
    },

    synced(ms: number): void {
      lastSyncMs = ms;
    },

    rejectLate,

    rejectAll(error: Error): void {
      for (let write = lines.oldest(); write; write = lines.oldest()) take(write).reject(error);
    },
  };

  function rejectLate(now: number): void {
    const patience = patienceMs(limits, lastSyncMs);
    for (let write = lines.oldest(); write && now - write.since > patience; write = lines.oldest()) {
      observer.refused();
      take(write).reject(
        new StoreOverloadedError('The write has waited too long for the disk and was not run'),
      );
    }
  }

  function hold({ tenant, bytes, writes }: Call): boolean {
    if (!places.take(tenant, writes)) return false;
    if (memory.take(tenant, bytes)) return true;
    places.give(tenant, writes);
    return false;
  }

  function take(write: Write): Write {
    places.give(write.tenant, write.writes);
    memory.give(write.tenant, write.bytes);
    lines.take(write);
    return write;
  }
}

/** How long a write may wait. Half of `waitingMs` always: after one stall the next sync may be quick. */
function patienceMs({ waitingMs, answerMs }: WriterLimits, lastSyncMs: number): number {
  return Math.max(waitingMs / 2, Math.min(waitingMs, answerMs - lastSyncMs));
}
