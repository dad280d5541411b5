import type { Filter, IndexReader } from '../../src/store/dynamodb/index-reader.ts';

export interface MemoryEntry {
  readonly position: string;
  readonly payloadBytes: number;
  readonly source?: string;
  readonly type?: string;
}

/** An index that shows what the test put into it, and keeps account of what is read. */
export function memoryIndex(shards: ReadonlyMap<string, readonly MemoryEntry[]>) {
  const read = { entries: 0, largest: 0 };
  const after = (shard: string, position: string) => {
    const entries = shards.get(shard) ?? [];
    const first = entries.findIndex((entry) => entry.position > position);
    return first === -1 ? [] : entries.slice(first);
  };
  const matches = (entry: MemoryEntry, { source, type }: Filter) =>
    (source === undefined || entry.source === source) && (type === undefined || entry.type === type);

  const part = (shard: string, from: string, limit: number) => {
    const rest = after(shard, from);
    const scanned = rest.slice(0, limit);
    read.entries += scanned.length;
    read.largest = Math.max(read.largest, limit);
    // Like DynamoDB, which cannot know that the last entry it read was the last there is.
    return { scanned, readTo: scanned.length === limit ? (scanned.at(-1)?.position ?? null) : null };
  };

  const reader: IndexReader = {
    query(shard, from, limit, filter) {
      const { scanned, readTo } = part(shard, from, limit);
      const entries = scanned.filter((entry) => matches(entry, filter));
      return Promise.resolve({ entries, readTo, scanned: scanned.length });
    },
    count(shard, from, limit) {
      const { scanned, readTo } = part(shard, from, limit);
      return Promise.resolve({ count: scanned.length, readTo });
    },
  };
  return { reader, read };
}
