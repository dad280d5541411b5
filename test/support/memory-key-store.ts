import { StoreUnavailableError } from '../../src/store/store-errors.ts';
import type { ApiKey, KeyStore } from '../../src/store/key-store.ts';

/** A key store for tests that count calls or need an outage. It passes the contract suite like the real ones. */
export interface MemoryKeyStore extends KeyStore {
  readonly calls: { get: number; getMany: number; touch: number };
  /** What `touch` was called with. */
  readonly touches: [keyId: string, usedAt: number][];
  down: boolean;
  /** Changes that no method of the port can make: rotating a hash, deleting a key. */
  readonly records: Map<string, ApiKey>;
  /** While set, `get` does not answer before it resolves. */
  gate: Promise<void> | undefined;
}

export function createMemoryKeyStore(): MemoryKeyStore {
  const records = new Map<string, ApiKey>();
  const reach = async () => {
    await store.gate;
    if (store.down) throw new StoreUnavailableError('the store is down');
  };
  const change = (keyId: string, changes: Partial<ApiKey>) => {
    const key = records.get(keyId);
    if (!key) return undefined;
    const changed = { ...key, ...changes };
    records.set(keyId, changed);
    return changed;
  };
  const store: MemoryKeyStore = {
    calls: { get: 0, getMany: 0, touch: 0 },
    touches: [],
    down: false,
    gate: undefined,
    records,
    async get(keyId) {
      store.calls.get++;
      await reach();
      return records.get(keyId);
    },
    async getMany(keyIds) {
      store.calls.getMany++;
      await reach();
      return keyIds.flatMap((keyId) => records.get(keyId) ?? []);
    },
    async create(key) {
      await reach();
      if (records.has(key.keyId)) return false;
      records.set(key.keyId, key);
      return true;
    },
    async list() {
      await reach();
      return [...records.values()].sort((a, b) => a.createdAt - b.createdAt);
    },
    async update(keyId, changes) {
      await reach();
      return change(keyId, changes);
    },
    async touch(keyId, usedAt) {
      store.calls.touch++;
      store.touches.push([keyId, usedAt]);
      await reach();
      if (usedAt > (records.get(keyId)?.lastUsedAt ?? 0)) change(keyId, { lastUsedAt: usedAt });
    },
  };
  return store;
}
