import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { eventually, freshTables } from '../../bench/harness/dynamodb.ts';
import { startDynamoDbLocal } from '../../src/cli/dynamodb-local.ts';
import { StoreUnavailableError } from '../../src/store/store-errors.ts';
import { newEvent, openStore, PATIENT_MS } from '../support/dynamodb.ts';
import { createOldEventsTable } from '../support/old-table.ts';
import { runTables } from '../support/tables-cli.ts';

void t.test('a table without leases is upgraded while instances use it', async (t) => {
  // Its own: an engine with hundreds of tables was seen to leave the new index unfinished.
  const local = await startDynamoDbLocal();
  t.teardown(() => local.stop());
  const { endpoint } = local;
  const tables = freshTables();
  await createOldEventsTable(endpoint, tables.events);
  const options = { tables, callBudgetMs: PATIENT_MS, indexEveryMs: 50 };
  const store = await openStore(t, endpoint, options);
  await eventually(() => store.ping());
  const early = newEvent();
  await store.append(early);
  const request = { limit: 5, leaseFor: 60e6 };
  await eventually(() => listed(early.id));
  await t.rejects(store.lease('acme', request), StoreUnavailableError);
  t.match(await run(endpoint, tables.events, 'drop-old-index'), {
    code: 1,
    err: /lease-index is not complete/,
  });

  const state = { upgrading: true };
  const load = (async () => {
    while (state.upgrading) {
      await store.append(newEvent({ tenant: 'load' }));
      await store.listPending('load', { limit: 10, after: null });
      await sleep(5);
    }
  })();
  const made = await run(endpoint, tables.events, 'upgrade');
  t.match(made, { code: 0, out: `${tables.events}: lease-index made\n` });
  t.match(await run(endpoint, tables.events, 'upgrade'), { code: 0, out: /was there already/ });
  const { leased } = await eventually(() => store.lease('acme', request));
  state.upgrading = false;
  await load;
  t.strictSame(leased[0]?.event, early, 'an event of before can be leased');

  t.match(await run(endpoint, tables.events, 'drop-old-index'), { code: 0, out: /is being deleted/ });
  await eventually(async () => {
    const { out } = await run(endpoint, tables.events, 'drop-old-index');
    if (!out.includes('was not there')) throw new Error(out);
  });
  const later = newEvent();
  await store.append(later);
  await eventually(() => listed(later.id));
  const fresh = await openStore(t, endpoint, { ...options, createTables: false });
  await fresh.ping();

  async function listed(id: string): Promise<void> {
    const { events } = await store.listPending('acme', { limit: 10, after: null });
    if (!events.some((event) => event.id === id)) throw new Error('not listed yet');
  }
});

function run(endpoint: string, events: string, name: string) {
  return runTables([name], { DYNAMODB_ENDPOINT_URL: endpoint, EVENTS_TABLE: events });
}
