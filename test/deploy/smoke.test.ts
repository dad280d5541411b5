import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { startTestApp } from '../support/app.ts';

interface Run {
  readonly code: number;
  readonly output: string;
}

function smoke(args: readonly string[], key?: string): Promise<Run> {
  const env = { PATH: process.env['PATH'], ...(key === undefined ? {} : { TRIGGERS_API_KEY: key }) };
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['docs/deploy/smoke.mjs', ...args],
      { env },
      (_, stdout, stderr) => {
        resolve({ code: child.exitCode ?? -1, output: stdout + stderr });
      },
    );
  });
}

/** The output in docs/deployment.md. */
const documented =
  /^ {3}```text\n( {3}ok {4}the process[^]*?) {3}```$/m
    .exec(readFileSync('docs/deployment.md', 'utf8'))?.[1]
    ?.replaceAll(/^ {3}/gm, '') ?? '';

/** What differs from run to run, and on this machine, made the same. */
function normal(text: string): string {
  return text
    .replaceAll(/\([\d.]+ ms\)/g, '(TIME)')
    .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')
    .replace(': not asked of this machine', '')
    .replace(/^http.* works\.$/m, 'URL works.');
}

void t.test('a service that works passes, and keeps nothing of the test', async (t) => {
  const app = await startTestApp(t);
  const { code, output } = await smoke([`${app.url}/`], LOCAL_KEY);
  t.equal(code, 0, output);
  t.notMatch(output, 'FAIL');
  t.match(output, /^ok {4}the process is alive \([\d.]+ ms\): version \d/m);
  t.match(output, /^ok {4}it is in the inbox/m);
  t.equal(normal(output), normal(documented), 'as docs/deployment.md shows it');
  const id = /stored .*: (\S{36})$/m.exec(output)?.[1] ?? '';
  t.match((await app.request('GET', `/v1/events/${id}`)).status, 404);
});

void t.test('a wrong key: each check that needs it says so', async (t) => {
  const { url } = await startTestApp(t);
  const { code, output } = await smoke([url], 'wrong');
  t.equal(code, 1);
  t.match(output, /^ok {4}its store answers/m);
  t.match(
    output,
    /^FAIL {2}an event is stored: answered 401 instead of 201 \(request \S{36}\): .*UNAUTHORIZED/m,
  );
  t.match(output, /^FAIL {2}it is removed: there is no event to look at/m);
  t.match(output, '7 of the checks failed');
});

void t.test('another server, and none', async (t) => {
  const other = createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.teardown(() => other.close());
  const port = String((other.address() as AddressInfo).port);
  const { code, output } = await smoke([`http://127.0.0.1:${port}`], LOCAL_KEY);
  t.equal(code, 1);
  t.match(output, /^FAIL {2}no key, no inbox: answered 200 instead of 401/m);
  const nobody = await smoke(['http://127.0.0.1:1'], LOCAL_KEY);
  t.equal(nobody.code, 1);
  t.match(nobody.output, /^FAIL {2}the process is alive: fetch failed: /m);
});

void t.test('called without an address or a key', async (t) => {
  for (const args of [[], ['events.example.com']]) {
    const { code, output } = await smoke(args, LOCAL_KEY);
    t.equal(code, 2);
    t.match(output, 'Usage: ');
  }
  t.equal((await smoke(['http://127.0.0.1:1'])).code, 2);
});
