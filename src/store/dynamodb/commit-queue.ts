import { createShares } from '../shares.ts';

/** One caller's item, from `add` to its answer. */
export interface Entry<T> {
  readonly item: T;
  readonly tenant: string;
  readonly bytes: number;
  readonly deadline: number;
  /** `sent`: the item may have been applied. In the other states it certainly was not. */
  state: 'queued' | 'parked' | 'sent';
  /** How often the item came back without being applied. */
  attempts: number;
  /** The item came back because the store was not reached, not because it was throttled. */
  unreached: boolean;
  /** Only the first call counts. */
  settle(error?: unknown): void;
  settled(): boolean;
}

export interface QueueLimits {
  readonly batchItems: number;
  /** An item larger than this goes alone. */
  readonly batchBytes: number;
  /**
   * The most that one tenant may have in the queue and under way while it is the only one; beyond that it is refused. All tenants
   * together have twice as much, in shares.
   */
  readonly queuedItems: number;
  readonly queuedBytes: number;
}

export type CommitQueue<T> = ReturnType<typeof createCommitQueue<T>>;

/**
 * Items that wait to be sent. Each tenant has its own line, and a batch takes one item from each line in turn. So other tenants
 * are in the next batch, whatever one tenant has waiting and however often it is throttled.
 */
export function createCommitQueue<T>(limits: QueueLimits) {
  const items = createShares(2 * limits.queuedItems);
  const bytes = createShares(2 * limits.queuedBytes);
  /** Lines of tenants that have something to send now, in the order of their turns. */
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

    /** Whether the next batch is full. */
    fillsBatch: () => ready.items >= limits.batchItems || ready.bytes >= limits.batchBytes,

    /** Items that `admit` would take from that tenant now, if they are small. */
    room: (tenant: string) => Math.min(limits.queuedItems, items.room(tenant)),

    /** Returns false when the tenant has its share already. */
    admit(entry: Entry<T>): boolean {
      if (!items.take(entry.tenant, 1)) return false;
      if (!bytes.take(entry.tenant, entry.bytes)) {
        items.give(entry.tenant, 1);
        return false;
      }
      enter(entry, 'fresh');
      return true;
    },

    /** To be called when the entry is settled. */
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

    /** Puts the entry ahead of what its tenant has not sent yet. Nothing happens when its caller has given up. */
    putBack(entry: Entry<T>): void {
      if (entry.settled()) return;
      entry.state = 'queued';
      enter(entry, 'repeated');
    },
  };
}

/** The entries of one tenant. They are sets, because a caller that gives up may leave from any place. */
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
