import type { Filter, IndexReader, Span } from '../../src/store/dynamodb/index-reader.ts';

export interface MemoryEntry {
  readonly position: string;
  readonly payloadBytes: number;
  readonly source?: string;
  readonly type?: string;
}

/** An index with the entries that the test has put into it, which counts what is read. */
export function memoryIndex(shards: ReadonlyMap<string, readonly MemoryEntry[]>) {
  const read = { entries: 0, largest: 0 };
  const within = (shard: string, { after, to }: Span) =>
    (shards.get(shard) ?? []).filter(({ position }) => position > after && (to === null || position <= to));
  const matches = (entry: MemoryEntry, { source, type }: Filter) =>
    (source === undefined || entry.source === source) && (type === undefined || entry.type === type);

  const part = (shard: string, span: Span, limit: number) => {
    const scanned = within(shard, span).slice(0, limit);
    read.entries += scanned.length;
    read.largest = Math.max(read.largest, limit);
    // Like DynamoDB, which cannot know that the last entry it read was the last there is.
    return { scanned, readTo: scanned.length === limit ? (scanned.at(-1)?.position ?? null) : null };
  };

  const reader: IndexReader = {
    query(shard, span, limit, filter) {
      const { scanned, readTo } = part(shard, span, limit);
      const entries = scanned.filter((entry) => matches(entry, filter));
      return Promise.resolve({ entries, readTo, scanned: scanned.length });
    },
    count(shard, after, limit) {
      const { scanned, readTo } = part(shard, { after, to: null }, limit);
      return Promise.resolve({ count: scanned.length, readTo });
    },
  };
  return { reader, read };
}
