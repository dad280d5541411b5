import t from 'tap';
import { startDynalite } from '../../bench/harness/dynamodb.ts';
import { openStore } from '../support/dynamodb.ts';
import { runTables } from '../support/tables-cli.ts';

void t.test('create makes the tables that the store needs, and can be repeated', async (t) => {
  const DYNAMODB_ENDPOINT_URL = await startDynalite(t);
  const tables = { events: 'events-of-mine', claims: 'claims-of-mine', keys: 'keys-of-mine' };
  const env = {
    DYNAMODB_ENDPOINT_URL,
    EVENTS_TABLE: tables.events,
    CLAIMS_TABLE: tables.claims,
    API_KEYS_TABLE: tables.keys,
  };
  const each = (fate: string) =>
    Object.values(tables)
      .map((name) => `${name}: ${fate}\n`)
      .join('');
  t.match(await run(['create'], env), { code: 0, out: each('created') });
  t.match(await run(['create'], env), { code: 0, out: each('was there already') });
  const store = await openStore(t, DYNAMODB_ENDPOINT_URL, { tables, createTables: false });
  await store.ping();
});

void t.test('an endpoint that cannot be reached is named, exit code 1', async (t) => {
  const { code, err } = await run(['create'], { DYNAMODB_ENDPOINT_URL: 'http://127.0.0.1:1' });
  t.equal(code, 1);
  t.match(err, /table triggers-api-events: .*ECONNREFUSED.*\(http:\/\/127\.0\.0\.1:1\)/);
});

void t.test('--help says what it takes, anything unknown too, with exit code 2', async (t) => {
  t.match(await run(['--help']), { code: 0, out: /^Usage: triggers-api tables create/ });
  for (const [args, said] of [
    [[], 'no command'],
    [['drop'], 'unknown command: drop'],
    [['create', 'more'], 'unknown command: create more'],
    [['upgrade', 'more'], 'unknown command: upgrade more'],
    [['create', '--force'], '--force'],
  ] as const) {
    const { code, err } = await run(args);
    t.equal(code, 2);
    t.ok(err.includes(said), err);
    t.match(err, /triggers-api tables --help/);
  }
  t.match(await run(['create'], { DYNAMODB_ENDPOINT_URL: 'here' }), {
    code: 2,
    err: /DYNAMODB_ENDPOINT_URL/,
  });
});

function run(args: readonly string[], env: Record<string, string> = {}) {
  const unset = { AWS_REGION: '', EVENTS_TABLE: '', CLAIMS_TABLE: '', DYNAMODB_ENDPOINT_URL: '' };
  return runTables(args, { ...unset, ...env });
}
