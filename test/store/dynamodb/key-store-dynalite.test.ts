import { PutCommand } from '@aws-sdk/lib-dynamodb';
import t from 'tap';
import { createClient } from '../../../src/store/dynamodb/client.ts';
import { CorruptKeyError, StoreUnavailableError } from '../../../src/store/store-errors.ts';
import { apiKey, keyStoreContract } from '../../contracts/key-store-contract.ts';
import { freshTables, startDynalite } from '../../../bench/harness/dynamodb.ts';
import { openStore, PATIENT_MS, recordingLog } from '../../support/dynamodb.ts';
import { startFaultyEndpoint } from '../../../bench/harness/faulty-endpoint.ts';

keyStoreContract(t, async (t) => {
  const endpoint = await startDynalite(t);
  const tables = freshTables();
  const open = async () => (await openStore(t, endpoint, { tables, callBudgetMs: PATIENT_MS })).keys;
  return { keys: await open(), again: open };
});

void t.test('a key whose creation was carried out but not answered counts as created', async (t) => {
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  const { keys } = await openStore(t, proxy.endpoint);
  const key = apiKey();
  let lost = 0;
  proxy.fault = (operation) =>
    operation === 'PutItem' && lost++ === 0 ? { kind: 'lost answer' } : undefined;
  t.equal(await keys.create(key), true);
  t.equal(lost, 2, 'it was sent again');
  t.equal(await keys.create(apiKey({ keyId: key.keyId })), false, 'another key with its id is not');
  t.same(await keys.list(), [key]);
});

void t.test('without DynamoDB every method rejects in time', async (t) => {
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  const { keys } = await openStore(t, proxy.endpoint);
  const key = apiKey();
  await keys.create(key);
  await proxy.goDown();
  const start = performance.now();
  const calls: Promise<unknown>[] = [keys.get(key.keyId), keys.getMany([key.keyId]), keys.list()];
  calls.push(keys.create(apiKey()), keys.update(key.keyId, { rateLimit: 1 }), keys.touch(key.keyId, 1));
  for (const outcome of await Promise.allSettled(calls)) {
    t.ok(outcome.status === 'rejected' && outcome.reason instanceof StoreUnavailableError);
  }
  t.ok(performance.now() - start < 2_500, 'within 2 s');
  await proxy.comeBack();
  t.same(await keys.get(key.keyId), key);
});

void t.test('a damaged record is an error for its reader, and left out of the list', async (t) => {
  const endpoint = await startDynalite(t);
  const tables = freshTables();
  const log = recordingLog();
  const { keys } = await openStore(t, endpoint, { tables, log });
  const sound = apiKey();
  await keys.create(sound);
  const client = createClient({ endpoint, region: 'us-east-1' });
  t.teardown(() => {
    client.destroy();
  });
  const whole = {
    key_id: 'damaged00000',
    key_hash: 'h',
    name: 'n',
    tenant: 't',
    status: 'active',
    rate_limit: 1,
    created_at: 1,
  };
  for (const [name, value] of [
    ['key_hash', 1],
    ['name', null],
    ['tenant', 7],
    ['status', 'paused'],
    ['rate_limit', 'many'],
    ['created_at', 1.5],
    ['last_used_at', 'never'],
  ] as const) {
    await client.send(new PutCommand({ TableName: tables.keys, Item: { ...whole, [name]: value } }));
    await t.rejects(keys.get(whole.key_id), CorruptKeyError, name);
    t.same(await keys.list(), [sound]);
  }
  t.match(log.errors[0], { fields: { err: CorruptKeyError }, message: /left out/ });
});
