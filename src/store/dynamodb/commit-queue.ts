import { createShares } from '../shares.ts';

/** One caller's item, from `add` to its answer. */
export interface Entry<T> {
  readonly item: T;
  readonly tenant: string;
  readonly bytes: number;
  readonly deadline: number;
  /** `sent`: may be applied. The other states: certainly not. */
  state: 'queued' | 'parked' | 'sent';
  /** Times that it came back, not applied. */
  attempts: number;
  /** It came back because nothing was reached, not because it was throttled. */
  unreached: boolean;
  /** The first call counts. */
  settle(error?: unknown): void;
  settled(): boolean;
}

export interface QueueLimits {
  readonly batchItems: number;
  /** An item larger than this goes alone. */
  readonly batchBytes: number;
  /**
   * What one tenant may have accepted and not settled while it is the only one; beyond, it is refused. All tenants together
   * have twice as much, in shares.
   */
  readonly queuedItems: number;
  readonly queuedBytes: number;
}

export type CommitQueue<T> = ReturnType<typeof createCommitQueue<T>>;

/**
 * Items that are to be sent. Each tenant has its own line, and a batch takes one item of each in turn: whatever one tenant
 * has waiting, and however often it is throttled, the others are in the next batch.
 */
export function createCommitQueue<T>(limits: QueueLimits) {
  const items = createShares(2 * limits.queuedItems);
  const bytes = createShares(2 * limits.queuedBytes);
  /** Of tenants with something to send now, in the order of their turns. */
  const lines = new Map<string, Line<T>>();
  const ready = { items: 0, bytes: 0 };

  const enter = (entry: Entry<T>, place: keyof Line<T>) => {
    const line = lines.get(entry.tenant) ?? { repeated: new Set(), fresh: new Set() };
    lines.set(entry.tenant, line);
    line[place].add(entry);
    ready.items += 1;
    ready.bytes += entry.bytes;
  };

  const leave = (entry: Entry<T>) => {
    const line = lines.get(entry.tenant);
    if (line === undefined || !(line.repeated.delete(entry) || line.fresh.delete(entry))) return;
    if (line.repeated.size + line.fresh.size === 0) lines.delete(entry.tenant);
    ready.items -= 1;
    ready.bytes -= entry.bytes;
  };

  return {
    size: () => ready.items,

    /** Whether waiting any longer could not make the next batch larger. */
    fillsBatch: () => ready.items >= limits.batchItems || ready.bytes >= limits.batchBytes,

    /** False: the tenant has its share already. */
    admit(entry: Entry<T>): boolean {
      if (!items.take(entry.tenant, 1)) return false;
      if (!bytes.take(entry.tenant, entry.bytes)) {
        items.give(entry.tenant, 1);
        return false;
      }
      enter(entry, 'fresh');
      return true;
    },

    /** It is settled. */
    release(entry: Entry<T>): void {
      leave(entry);
      items.give(entry.tenant, 1);
      bytes.give(entry.tenant, entry.bytes);
    },

    takeBatch(): readonly Entry<T>[] {
      const batch: Entry<T>[] = [];
      let size = 0;
      while (batch.length < limits.batchItems) {
        const entry = first(lines);
        if (entry === undefined || (batch.length > 0 && size + entry.bytes > limits.batchBytes)) break;
        leave(entry);
        moveToEnd(lines, entry.tenant);
        size += entry.bytes;
        batch.push(entry);
      }
      return batch;
    },

    /** Goes ahead of what its tenant has not sent yet. Nothing happens when its caller has given up. */
    putBack(entry: Entry<T>): void {
      if (entry.settled()) return;
      entry.state = 'queued';
      enter(entry, 'repeated');
    },
  };
}

/** Of one tenant; sets, because a caller that gives up may leave from anywhere. */
interface Line<T> {
  readonly repeated: Set<Entry<T>>;
  readonly fresh: Set<Entry<T>>;
}

function first<T>(lines: ReadonlyMap<string, Line<T>>): Entry<T> | undefined {
  for (const { repeated, fresh } of lines.values()) {
    for (const entry of repeated) return entry;
    for (const entry of fresh) return entry;
  }
  return undefined;
}

function moveToEnd<T>(lines: Map<string, Line<T>>, tenant: string): void {
  const line = lines.get(tenant);
  if (line === undefined) return;
  lines.delete(tenant);
  lines.set(tenant, line);
}
