import { execFile, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import t from 'tap';
import { LOCAL_KEY } from '../../../src/access/local.ts';
import { Triggers } from '../../../src/client/client.ts';
import { SYSTEM } from '../../../src/client/world.ts';
import { startTestApp } from '../../support/app.ts';
import { freePort } from '../../../src/cli/dynamodb-local.ts';
import { LeaseStandIn } from '../../support/lease-stand-in.ts';
import { installClient, userEnv } from '../../support/packed-client.ts';
import { startService } from '../../support/process.ts';

const run = promisify(execFile);

// As a user has them: copied, beside an installed client.
const folder = await installClient(t);
cpSync('docs/examples', folder, { recursive: true });

const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
const python = join(cache, 'triggers-api', 'examples', 'bin', 'python');

async function runExample(name: string, url: string, ...args: string[]): Promise<string> {
  const env = { ...userEnv, TRIGGERS_URL: url };
  const { stdout } = await run(process.execPath, [name, ...args], { cwd: folder, env });
  return stdout
    .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'ID')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME');
}

void t.test('the README of the client, pasted into a file', async (t) => {
  const { url } = await startTestApp(t);
  const readme = readFileSync('src/client/README.md', 'utf8');
  const blocks = [...readme.matchAll(/^```js\n([^]*?)^```$/gm)].map(([, block = '']) => block);
  t.ok(blocks.length >= 5);
  writeFileSync(join(folder, 'readme.mjs'), blocks.join('').replace('http://127.0.0.1:8080', url));
  t.equal(await runExample('readme.mjs', url), '7\n{ created: 2 }\ntrue\nCONFLICT 409 false\n');
});

void t.test('the quick start of the README, pasted into a file', async (t) => {
  const { url } = await startTestApp(t);
  const readme = readFileSync('README.md', 'utf8');
  const [, program = '', shown] = /^```js\n([^]*?)^```\n\n```text\n([^]*?)^```$/m.exec(readme) ?? [];
  writeFileSync(join(folder, 'quick-start.mjs'), program.replace('http://127.0.0.1:8080', url));
  t.equal(await runExample('quick-start.mjs', url), shown);
});

void t.test('send.mjs: the same event twice is stored once', async (t) => {
  const { url } = await startTestApp(t);
  t.equal(await runExample('send.mjs', url), 'stored: ID TIME\nwas there: ID TIME\n');
  t.equal(await runExample('send.mjs', url), 'was there: ID TIME\nwas there: ID TIME\n');
  t.equal(await runExample('send.mjs', url, '8'), 'stored: ID TIME\nwas there: ID TIME\n');
});

void t.test('batch.mjs: each event once, also when it is run again', async (t) => {
  const { url } = await startTestApp(t);
  t.equal(await runExample('batch.mjs', url, '700'), '{ created: 700 }\n{ acknowledged: 700 }\n');
  t.equal(await runExample('batch.mjs', url, '700'), '{ duplicate: 700 }\n{ already_acknowledged: 700 }\n');
});

void t.test('errors.mjs: every kind of failure', async (t) => {
  const { url } = await startTestApp(t);
  const output = await runExample('errors.mjs', url);
  for (const line of [
    /^an empty source: VALIDATION_ERROR, do not repeat: source: must not be empty\n {2}source must not be empty$/m,
    /^a first acknowledgement: worked$/m,
    /^a second acknowledgement: CONFLICT, do not repeat/m,
    /^an event that is not there: NOT_FOUND, do not repeat/m,
    /^a wrong key: UNAUTHORIZED, do not repeat/m,
    /^nobody listens: NETWORK_ERROR, try later: the service cannot be reached: /m,
    /^an aborted call: not needed any more$/m,
  ]) {
    t.match(output, line);
  }
});

void t.test('concurrency.mjs: each event once, also when it is run again', async (t) => {
  const { url } = await startTestApp(t);
  for (let time = 0; time < 2; time++) {
    t.equal(await runExample('concurrency.mjs', url, '100', '8'), '100 events sent, 8 at once\n');
  }
  const sizes: number[] = [];
  const { inbox } = new Triggers({ baseUrl: url, apiKey: LOCAL_KEY });
  for await (const page of inbox.list({ limit: 100 }).pages()) sizes.push(page.events.length);
  t.same(sizes, [100]);
});

/** Runs a worker while its service is killed and started again. */
async function survives(t: Test, command: string, script: string): Promise<void> {
  const env = { DATA_DIR: t.testdir(), PORT: String(await freePort()) };
  const first = await startService(t, env);
  const triggers = new Triggers({ baseUrl: first.url, apiKey: LOCAL_KEY });
  const send = (n: number) => triggers.events.send({ source: 's', eventType: 'wanted', payload: { n } });
  await triggers.events.send({ source: 's', eventType: 'other', payload: {} });
  for (let n = 0; n < 5; n++) await send(n);

  const worker = spawn(command, [join(folder, script), 'wanted'], {
    cwd: folder,
    env: { ...userEnv, TRIGGERS_URL: first.url },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let complaints = '';
  const said = new EventEmitter();
  worker.stdout.on('data', (data: Buffer) => {
    output += data.toString();
    said.emit('more');
  });
  worker.stderr.on('data', (data: Buffer) => {
    complaints += data.toString();
    said.emit('more');
  });
  t.teardown(() => worker.kill('SIGKILL'));
  const until = async (done: () => boolean): Promise<void> => {
    while (!done()) await once(said, 'more');
  };
  const handled = (n: number): boolean =>
    output.includes(`{"n":${String(n)}}`) || output.includes(`{"n": ${String(n)}}`);

  await until(() => [0, 1, 2, 3, 4].every(handled));
  first.child.kill('SIGKILL');
  await first.ended;
  await until(() => complaints.includes('waiting for the service'));
  await startService(t, env);
  for (let n = 5; n < 10; n++) await send(n);
  await until(() => [5, 6, 7, 8, 9].every(handled));

  worker.kill('SIGTERM');
  const [code] = (await once(worker, 'close')) as [number | null];
  t.equal(code, 0, complaints);
  t.match(output, /stopped\n$/);
  const left: string[] = [];
  for await (const { eventType } of triggers.inbox.list()) left.push(eventType);
  t.same(left, ['other'], 'what was handled is acknowledged, what was not asked for is left');
}

void t.test('consume.mjs handles what comes, and ends in good order', async (t) => {
  const service = new LeaseStandIn(SYSTEM);
  const { url, close } = await service.listen();
  t.teardown(close);
  service.add({ n: 0 }, { poison: true }, { n: 2 });
  const worker = spawn(process.execPath, [join(folder, 'consume.mjs')], {
    cwd: folder,
    env: { ...userEnv, TRIGGERS_URL: url },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => worker.kill('SIGKILL'));
  let output = '';
  for await (const data of worker.stdout) {
    output += String(data);
    if (output.includes('{"n":2}')) worker.kill('SIGTERM');
  }
  t.equal(output, 'handled id 0 {"n":0} attempt 1\nhandled id 2 {"n":2} attempt 1\nstopped\n');
  t.equal(service.in('acknowledged'), 2);
  t.equal(service.in('quarantined'), 1);
});

void t.test('worker.mjs survives a restart of the service and ends in good order', async (t) => {
  await survives(t, process.execPath, 'worker.mjs');
});

void t.test('worker.py does the same', async (t) => {
  if (!existsSync(python)) throw new Error(`there is no ${python}: run .ci/install-tools`);
  await survives(t, python, 'worker.py');
});
