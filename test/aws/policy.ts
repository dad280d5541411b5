import t, { type Test } from 'tap';
import { eventually, freshTables, startDynalite } from '../../bench/harness/dynamodb.ts';
import { startFaultyEndpoint, type FaultyEndpoint } from '../../bench/harness/faulty-endpoint.ts';
import { claimsContract } from '../contracts/claims-contract.ts';
import { leaseContract } from '../contracts/lease-contract.ts';
import { storeContract } from '../contracts/store-contract.ts';
import { startTestApp } from '../support/app.ts';
import { openStore } from '../support/dynamodb.ts';
import { dynamoHarness } from '../support/dynamodb-contract.ts';
import { createKey, keysJson, runKeys } from '../support/keys-cli.ts';
import { createOldEventsTable } from '../support/old-table.ts';
import { permissionsOf, readTemplate, type Permission } from '../support/templates.ts';

/** What is sent to make the tables of a test. */
const MANAGEMENT = ['CreateTable', 'DescribeTimeToLive', 'UpdateTimeToLive'];

const template = readTemplate('tables.yaml');

void t.test('the policy of the service allows what it does, and nothing else', async (t) => {
  const done = new Set<Permission>();
  const harness = dynamoHarness('dynalite', async (t) => (await recorded(t, done)).endpoint);
  await t.test('the contract of the store', (t) => {
    storeContract(t, harness);
    claimsContract(t, harness);
    leaseContract(t, harness);
    t.end();
  });
  await t.test('a table of a version without leases', async (t) => {
    const { endpoint, engine } = await recorded(t, done);
    const tables = freshTables();
    await createOldEventsTable(engine, tables.events);
    const store = await openStore(t, endpoint, { tables });
    await eventually(() => store.ping());
    await store.listPending('acme', { limit: 1, after: null });
  });
  await t.test('a key in use', async (t) => {
    const { endpoint, engine } = await recorded(t, done);
    const env = { ...environment(endpoint), API_KEY_CACHE_TTL_SECONDS: '1' };
    const app = await startTestApp(t, env);
    const { key } = await createKey(runKeys, { ...env, DYNAMODB_ENDPOINT_URL: engine });
    await eventually(async () => {
      const { status } = await app.request('GET', '/v1/inbox', undefined, { 'x-api-key': key });
      if (status !== 200) throw new Error(`the key is answered ${String(status)}`);
      for (const needed of ['UpdateItem', 'BatchGetItem']) {
        if (!done.has(`dynamodb:${needed} on KeysTable`)) throw new Error(`no ${needed} of the key yet`);
      }
    });
  });
  await t.test('somebody waits', async (t) => {
    const { endpoint } = await recorded(t, done);
    const app = await startTestApp(t, environment(endpoint));
    await eventually(async () => {
      const { status } = await app.request('POST', '/v1/inbox/lease', { wait_seconds: 1 });
      if (status !== 200) throw new Error(`a wait is answered ${String(status)}`);
    });
  });
  t.same([...done].toSorted(), permissionsOf(template, 'ServicePolicy'));
});

void t.test('the policy of operators allows what the command does, and nothing else', async (t) => {
  const done = new Set<Permission>();
  const proxy = await recorded(t, done);
  const env = { ...environment(proxy.endpoint), DYNAMODB_CREATE_TABLES: 'true' };
  // Its creation is repeated, and so the command looks at what is there.
  proxy.lose = 'PutItem';
  const { keyId } = await createKey(runKeys, env);
  for (const command of ['revoke', 'deactivate', 'activate']) await keysJson(runKeys, env, command, keyId);
  await keysJson(runKeys, env, 'set-rate-limit', keyId, '7');
  await keysJson(runKeys, env, 'list');
  t.same([...done].toSorted(), permissionsOf(template, 'OperatorPolicy'));
});

interface Recorded extends FaultyEndpoint {
  /** The endpoint behind it, where nothing is noted. */
  readonly engine: string;
  /** The operation whose next answer is lost. */
  lose: string | undefined;
}

const TABLES = { 'events-': 'EventsTable', 'claims-': 'ClaimsTable', 'keys-': 'KeysTable' };

/** An engine of a test, which notes what is done with each table. */
async function recorded(t: Test, done: Set<Permission>): Promise<Recorded> {
  const engine = await startDynalite(t);
  const proxy: Recorded = Object.assign(await startFaultyEndpoint(t, engine), {
    engine,
    lose: undefined,
  });
  proxy.fault = (operation, body) => {
    if (!MANAGEMENT.includes(operation))
      for (const place of placesIn(body)) done.add(`dynamodb:${operation} on ${place}`);
    if (proxy.lose !== operation) return undefined;
    proxy.lose = undefined;
    return { kind: 'lost answer' };
  };
  return proxy;
}

function placesIn(body: string): string[] {
  const {
    TableName,
    IndexName,
    RequestItems = {},
  } = JSON.parse(body) as {
    TableName?: string;
    IndexName?: string;
    RequestItems?: object;
  };
  const names = TableName === undefined ? Object.keys(RequestItems) : [TableName];
  return names.map((name) => {
    const [, table = name] = Object.entries(TABLES).find(([start]) => name.startsWith(start)) ?? [];
    return IndexName === undefined ? table : `${table}/index/${IndexName}`;
  });
}

function environment(endpoint: string): Record<string, string> {
  const { events, claims, keys } = freshTables();
  return {
    STORE: 'dynamodb',
    DYNAMODB_ENDPOINT_URL: endpoint,
    EVENTS_TABLE: events,
    CLAIMS_TABLE: claims,
    API_KEYS_TABLE: keys,
  };
}
