import { CorruptKeyError } from '../store-errors.ts';
import type { ApiKey, KeyStatus, KeyStore } from '../key-store.ts';
import type { Deadline } from './deadline.ts';
import * as table from './keys-table.ts';
import type { FoundItem, Table } from './table.ts';
import type { StoreLog } from '../store-log.ts';

/** @param run runs every call. */
export function createDynamoKeys(
  keys: Table,
  run: <T>(call: (deadline: Deadline) => Promise<T>) => Promise<T>,
  log: StoreLog,
): KeyStore {
  return {
    get: (keyId) =>
      run(async (deadline) => {
        const item = await table.getKey(keys, keyId, deadline);
        return item && fromItem(item);
      }),

    getMany: (keyIds) => run(async (deadline) => (await table.getKeys(keys, keyIds, deadline)).map(fromItem)),

    create: (key) => run((deadline) => table.putNewKey(keys, toItem(key), deadline)),

    list: () =>
      run(async (deadline) => {
        const items = await table.scanKeys(keys, deadline);
        return items
          .flatMap((item) => {
            try {
              return [fromItem(item)];
            } catch (error) {
              log.error({ err: error }, 'an API key is left out of the list');
              return [];
            }
          })
          .sort((a, b) => a.createdAt - b.createdAt);
      }),

    update: (keyId, { status, rateLimit }) =>
      run(async (deadline) => {
        const set = {
          ...(status === undefined ? {} : { status }),
          ...(rateLimit === undefined ? {} : { rate_limit: rateLimit }),
        };
        const item = await table.updateKey(keys, keyId, { set }, deadline);
        return item && fromItem(item);
      }),

    touch: (keyId, usedAt) =>
      run(async (deadline) => {
        const condition = '(attribute_not_exists(#last_used_at) OR #last_used_at < :last_used_at)';
        await table.updateKey(keys, keyId, { set: { last_used_at: usedAt }, condition }, deadline);
      }),
  };
}

function toItem(key: ApiKey) {
  return {
    key_id: key.keyId,
    key_hash: key.hash,
    name: key.name,
    tenant: key.tenant,
    status: key.status,
    rate_limit: key.rateLimit,
    created_at: key.createdAt,
    ...(key.lastUsedAt === null ? {} : { last_used_at: key.lastUsedAt }),
  };
}

const STATUSES: readonly unknown[] = ['active', 'inactive', 'revoked'] satisfies KeyStatus[];

/** @throws a `CorruptKeyError` when `toItem` does not make such records. */
function fromItem(item: FoundItem): ApiKey {
  const { key_id: keyId, key_hash: hash, name, tenant, status, rate_limit: rateLimit } = item;
  const { created_at: createdAt, last_used_at: lastUsedAt = null } = item;
  const broken = (what: string) => new CorruptKeyError(`API key ${String(keyId)}: ${what} is damaged`);
  if (typeof keyId !== 'string') throw broken('key_id');
  if (typeof hash !== 'string') throw broken('key_hash');
  if (typeof name !== 'string') throw broken('name');
  if (typeof tenant !== 'string') throw broken('tenant');
  if (!isStatus(status)) throw broken('status');
  if (!isWhole(rateLimit)) throw broken('rate_limit');
  if (!isWhole(createdAt)) throw broken('created_at');
  if (lastUsedAt !== null && !isWhole(lastUsedAt)) throw broken('last_used_at');
  return { keyId, hash, name, tenant, status, rateLimit, createdAt, lastUsedAt };
}

function isStatus(value: unknown): value is KeyStatus {
  return STATUSES.includes(value);
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
