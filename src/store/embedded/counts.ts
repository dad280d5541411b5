import { CorruptEventError } from '../errors.ts';
import { readValue } from './database.ts';
import type { Lmdb } from './database.ts';
import { countEntry, countEntryBody, countKey, inboxEnd, inboxKey, isIntact } from './record.ts';
import type { Sequence } from './record.ts';

/** How many entries the inbox of each tenant has, kept in the transactions that change it. */
export interface Counts {
  /** Within a transaction, which ends with `flush`: one put a tenant and batch instead of one an event. */
  add(tenant: string, difference: number): void;
  flush(): void;
  /** Entries of the inbox but those up to `expiredTo`. Exact: what has expired and is not yet swept is counted off. */
  pending(tenant: string, expiredTo: Sequence): number;
}

export function createCounts({ counts, inbox }: Lmdb, onDamage: (error: Error) => void): Counts {
  const differences = new Map<string, number>();

  return {
    add(tenant, difference) {
      differences.set(tenant, (differences.get(tenant) ?? 0) + difference);
    },
    flush() {
      for (const [tenant, difference] of differences) {
        // A recount sees the entries of this transaction already.
        const count = stored(tenant, difference) ?? inboxSize(tenant);
        const { key, value } = countEntry(tenant, count);
        if (count === 0) counts.removeSync(key);
        else counts.putSync(key, value);
      }
      differences.clear();
    },
    pending(tenant, expiredTo) {
      const count = stored(tenant, 0) ?? inboxSize(tenant);
      if (count === 0) return 0;
      const start = inboxKey(tenant, 0);
      return count - inbox.getKeysCount({ start, end: inboxKey(tenant, Math.max(0, expiredTo + 1)) });
    },
  };

  /** Undefined when the record is damaged. */
  function stored(tenant: string, difference: number): number | undefined {
    const key = countKey(tenant);
    const value = readValue(counts, key);
    if (value === undefined) return difference;
    if (isIntact(key, value)) return countEntryBody(value) + difference;
    onDamage(new CorruptEventError(`The count of tenant ${tenant} is damaged; its inbox is counted anew`));
    return undefined;
  }

  function inboxSize(tenant: string): number {
    return inbox.getKeysCount({ start: inboxKey(tenant, 0), end: inboxEnd(tenant) });
  }
}
