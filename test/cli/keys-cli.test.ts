import { readdirSync } from 'node:fs';
import t, { type Test } from 'tap';
import { parseKey } from '../../src/access/key-format.ts';
import type { Json } from '../support/app.ts';
import { startDynalite } from '../../bench/harness/dynamodb.ts';
import { createKey, keysJson, runKeys, type CliResult } from '../support/keys-cli.ts';

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

for (const [store, environment] of [
  ['embedded', (t: Test) => Promise.resolve({ DATA_DIR: t.testdir() })],
  ['DynamoDB', dynamoEnvironment],
] as const) {
  void t.test(`a key's life on the ${store} store`, async (t) => {
    const env: Record<string, string> = await environment(t);
    const made = await keysJson(
      runKeys,
      env,
      'create',
      '--name',
      'Zoë’s service',
      '--tenant',
      'acme',
      '--rate-limit',
      '90',
    );
    t.equal(parseKey(String(made['key']))?.keyId, made['key_id']);
    const keyId = String(made['key_id']);
    const record = {
      key_id: keyId,
      name: 'Zoë’s service',
      tenant: 'acme',
      status: 'active',
      rate_limit: 90,
      created_at: made['created_at'],
      last_used_at: null,
    };
    t.match(made['created_at'], TIME);
    t.same(made, { key: made['key'], ...record });

    const plain = await createKey(runKeys, { ...env, DEFAULT_RATE_LIMIT: '1234' });
    const listed = (await keysJson(runKeys, env, 'list'))['keys'] as Json[];
    t.same(listed[0], record);
    t.match(listed[1], { key_id: plain.keyId, tenant: 'default', rate_limit: 1234 });
    t.equal(listed.length, 2);

    t.same(await keysJson(runKeys, env, 'revoke', keyId), { ...record, status: 'revoked' });
    t.same(await keysJson(runKeys, env, 'activate', keyId), record);
    t.same(await keysJson(runKeys, env, 'deactivate', keyId), { ...record, status: 'inactive' });
    t.same(await keysJson(runKeys, env, 'set-rate-limit', keyId, '7'), {
      ...record,
      status: 'inactive',
      rate_limit: 7,
    });
    const unknown = await runKeys(env, 'revoke', 'abcdefghijkl');
    t.same(unknown, { code: 1, stdout: '', stderr: 'keys: there is no API key "abcdefghijkl"\n' });
  });
}

void t.test('for people there is a table, and the key stands alone on its line', async (t) => {
  const env = { DATA_DIR: t.testdir() };
  t.match(await runKeys(env, 'list'), { code: 1, stderr: /There is no store in .*; check DATA_DIR/ });
  t.same(readdirSync(env.DATA_DIR), [], 'a mistyped folder is left as it is');
  const { code, stdout, stderr } = await runKeys(env, 'create', '--name', 'billing', '--tenant', 'acme');
  t.same([code, stderr], [0, '']);
  const [key = '', , warning, , ...table] = stdout.split('\n');
  const keyId = parseKey(key)?.keyId ?? 'no key';
  t.match(warning, /not shown again/);
  const list = (await runKeys(env, 'list')).stdout;
  t.equal(list, table.join('\n'));
  const [head, row] = list.split('\n');
  t.match(head, /^KEY_ID +TENANT +STATUS +RATE_LIMIT +CREATED +LAST_USED +NAME$/);
  t.match(
    row,
    new RegExp(`^${keyId}  acme +active  60000/min +\\d{4}-\\d\\d-\\d\\dT[\\d:]+Z  never +billing$`),
  );
  for (const command of ['revoke', 'activate', 'deactivate']) {
    t.match((await runKeys(env, command, keyId)).stdout, new RegExp(`\n${keyId} `));
  }
});

void t.test('a key is shown on creation and nowhere else, its hash nowhere at all', async (t) => {
  const env = { DATA_DIR: t.testdir() };
  const { key, keyId } = await createKey(runKeys, env);
  const secret = String(parseKey(key)?.secret);
  const outputs: CliResult[] = [];
  // One after the other: a process never runs two of them, and lmdb-js has been seen to hang when one handle of a file is opened
  // while another one is closed.
  for (const args of [
    ['list'],
    ['list', '--json'],
    ['revoke', keyId],
    ['set-rate-limit', keyId, '5', '--json'],
    ['revoke', key],
    ['list', key],
  ]) {
    outputs.push(await runKeys(env, ...args));
  }
  for (const { stdout, stderr } of outputs) {
    t.notMatch(stdout + stderr, secret);
    t.notMatch(stdout + stderr, /\$2[aby]\$/);
  }
  t.match(outputs.at(-2), { code: 2, stderr: /a whole key is a secret/ });
});

void t.test('--help tells of every command', async (t) => {
  for (const args of [['--help'], ['create', '--help'], ['revoke', '-h']]) {
    const { code, stdout } = await runKeys({}, ...args);
    t.equal(code, 0);
    for (const command of [
      'create',
      'list',
      'revoke',
      'activate',
      'deactivate',
      'set-rate-limit',
      '--json',
    ]) {
      t.match(stdout, new RegExp(`^ +${command}\\b`, 'm'));
    }
  }
});

void t.test('what is not understood ends with 2 and says why', async (t) => {
  const env = { DATA_DIR: t.testdir() };
  const cases: [string[], RegExp][] = [
    [[], /which command/],
    [['lst'], /no command "lst"/],
    [['create'], /--name is missing/],
    [['create', '--name', ''], /--name takes/],
    [['create', '--name', 'a\u001b[2Jb'], /--name takes/],
    [['create', '--name', 'x'.repeat(256)], /--name takes/],
    [['create', '--name', 'x', '--tenant', 'a b'], /--tenant takes/],
    [['create', '--name', 'x', '--tenant', 'x'.repeat(65)], /--tenant takes/],
    [['create', '--name', 'x', '--rate-limit', '0'], /a rate limit is/],
    [['create', '--name', 'x', '--rate-limit', '1.5'], /a rate limit is/],
    [['create', 'x'], /takes options only/],
    [['create', '--name', 'x', '--role', 'admin'], /--role/],
    [['list', 'all'], /takes options only/],
    [['revoke'], /takes KEY_ID/],
    [['revoke', 'a', 'b'], /takes KEY_ID/],
    [['set-rate-limit', 'a'], /takes KEY_ID N/],
    [['set-rate-limit', 'a', 'many'], /a rate limit is/],
  ];
  await Promise.all(
    cases.map(async ([args, reason]) => {
      const { code, stdout, stderr } = await runKeys(env, ...args);
      t.same([code, stdout], [2, ''], args.join(' '));
      t.match(stderr, reason);
    }),
  );
  t.same(readdirSync(env.DATA_DIR), [], 'nothing was made');
});

void t.test('a store that cannot be had ends with 1 and says which', async (t) => {
  const file = `${t.testdir({ file: 'not a folder' })}/file`;
  const folder = await runKeys({ DATA_DIR: file }, 'list');
  t.equal(folder.code, 1);
  t.match(folder.stderr, file);
  const down = await runKeys({ STORE: 'dynamodb', DYNAMODB_ENDPOINT_URL: 'http://127.0.0.1:1' }, 'list');
  t.equal(down.code, 1);
  t.match(down.stderr, /^keys: .*ECONNREFUSED.*\n$/);
  const config = await runKeys({ DEFAULT_RATE_LIMIT: 'many' }, 'list');
  t.match(config, { code: 1, stderr: /DEFAULT_RATE_LIMIT: takes/ });
});

async function dynamoEnvironment(t: Test) {
  return { STORE: 'dynamodb', DYNAMODB_ENDPOINT_URL: await startDynalite(t) };
}
