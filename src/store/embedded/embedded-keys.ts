import { CorruptKeyError } from '../store-errors.ts';
import type { ApiKey, KeyChanges } from '../key-store.ts';
import { readValue } from './database.ts';
import type { Lmdb } from './database.ts';
import { NO_TENANT } from './writer.ts';
import type { Writer } from './writer.ts';
import { isIntact, jsonBody, jsonEntry } from './seal.ts';
import type { Entry } from './seal.ts';

interface Parts {
  readonly lmdb: Lmdb;
  readonly writer: Writer;
  readonly onDamage: (error: Error) => void;
}

/** About the bytes of memory that a write holds while it waits. */
const SMALL_WRITE_BYTES = 1024;

/** API keys. Reads are synchronous, as LMDB's are. A second process may write at the same time. */
export function createKeys({ lmdb: { keys }, writer, onDamage }: Parts) {
  return { get, getMany, create, list, update, touch };

  function get(keyId: string): ApiKey | undefined {
    const key = recordKey(keyId);
    const value = key && readValue(keys, key);
    return value && decode(key, value);
  }

  function getMany(keyIds: readonly string[]): ApiKey[] {
    return keyIds.flatMap((keyId) => get(keyId) ?? []);
  }

  async function create(apiKey: ApiKey): Promise<boolean> {
    const { key, value } = apiKeyEntry(apiKey);
    return writer.write(NO_TENANT, SMALL_WRITE_BYTES, () => {
      if (readValue(keys, key) !== undefined) return false;
      keys.putSync(key, value);
      return true;
    });
  }

  function list(): ApiKey[] {
    const found: ApiKey[] = [];
    for (const { key, value } of keys.getRange()) {
      try {
        found.push(decode(key, value));
      } catch (error) {
        onDamage(error as CorruptKeyError);
      }
    }
    return found.sort((a, b) => a.createdAt - b.createdAt);
  }

  /** The record is read within the transaction, so that two processes that change one key at once both succeed. */
  async function update(keyId: string, changes: KeyChanges): Promise<ApiKey | undefined> {
    return writer.write(NO_TENANT, SMALL_WRITE_BYTES, () => {
      const before = get(keyId);
      return before && put({ ...before, ...changes });
    });
  }

  async function touch(keyId: string, usedAt: number): Promise<void> {
    await writer.write(NO_TENANT, SMALL_WRITE_BYTES, () => {
      const before = get(keyId);
      if (before && usedAt > (before.lastUsedAt ?? 0)) put({ ...before, lastUsedAt: usedAt });
    });
  }

  function put(apiKey: ApiKey): ApiKey {
    const { key, value } = apiKeyEntry(apiKey);
    keys.putSync(key, value);
    return apiKey;
  }
}

function decode(key: Buffer, value: Buffer): ApiKey {
  if (isIntact(key, value)) return jsonBody(value) as ApiKey;
  throw new CorruptKeyError(`The record of API key ${key.toString('latin1')} is damaged`);
}

/** The key of an API key's record; undefined for a text that cannot be the id of one. */
function recordKey(keyId: string): Buffer | undefined {
  return KEY_ID.test(keyId) ? Buffer.from(keyId, 'latin1') : undefined;
}

function apiKeyEntry(apiKey: ApiKey): Entry {
  const key = recordKey(apiKey.keyId);
  if (key !== undefined) return jsonEntry(key, apiKey);
  throw new TypeError(`The id of an API key is 1-64 of 0-9 A-Z a-z, not ${apiKey.keyId}`);
}

const KEY_ID = /^[0-9A-Za-z]{1,64}$/;
