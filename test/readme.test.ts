import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import t from 'tap';
import { readConfig } from '../src/config.ts';
import { startOnTerminal, startService } from './support/process.ts';

const run = promisify(execFile);
const README = readFileSync('README.md', 'utf8');
const DOCUMENTED_URL = 'http://127.0.0.1:8080';

interface Block {
  readonly language: string;
  readonly text: string;
}

const blocks: Block[] = [...README.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map((match) => ({
  language: match[1] ?? '',
  text: match[2] ?? '',
}));

/** What differs from run to run, made the same. */
function normal(text: string): string {
  return text
    .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UUID')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z/g, 'TIME')
    .replaceAll(/\[\d\d:\d\d:\d\d\.\d{3}\]/g, '[CLOCK]')
    .replaceAll(/127\.0\.0\.1:\d+/g, 'ADDRESS')
    .replaceAll(/\d+\.\d\d s/g, 'SECONDS')
    .replaceAll(/data_dir: ".*"/g, 'data_dir: "FOLDER"')
    .replaceAll(/node: ".*"/g, 'node: "VERSION"')
    .replaceAll(/[ \t\r]+$/gm, '')
    .trim();
}

void t.test('the curl lines work when pasted and answer as shown', async (t) => {
  const { url } = await startService(t, { DATA_DIR: t.testdir() });
  let pasted = 0;
  let preamble = '';
  for (const [at, { language, text }] of blocks.entries()) {
    if (language !== 'sh' || !text.includes('curl')) continue;
    const script = text.replaceAll(DOCUMENTED_URL, url);
    const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', preamble + script]);
    const shown = blocks[at + 1];
    t.equal(shown?.language, 'text');
    t.equal(normal(stdout), normal(shown?.text ?? ''), text);
    // What one block sets, the ones after it use: they are pasted into one shell.
    preamble += `${/^API=.*$/m.exec(script)?.[0] ?? ''}\n`;
    pasted += [...text.matchAll(/curl /g)].length;
  }
  t.ok(pasted >= 8, `${String(pasted)} curl lines`);
});

void t.test('the autocannon line works when pasted', async (t) => {
  const { url } = await startService(t, { DATA_DIR: t.testdir() });
  const { text = '' } = blocks.find((block) => block.text.startsWith('npx autocannon')) ?? {};
  const variables = /^API=.*$/m.exec(README)?.[0] ?? '';
  // For a second, and as JSON; the rest as it stands there.
  const script = `${variables}\n${text}`.replace(DOCUMENTED_URL, url).replace('-d 10 ', '-d 1 --json ');
  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script]);
  const found = JSON.parse(stdout) as { non2xx: number; errors: number; '2xx': number };
  t.match(found, { non2xx: 0, errors: 0, duration: Number, connections: 10 });
  t.ok(found['2xx'] >= 100, `${String(found['2xx'])} events`);
});

void t.test('the curl lines of docs/api.md work when pasted', async (t) => {
  const { url } = await startService(t, { DATA_DIR: t.testdir() });
  const scripts = [...readFileSync('docs/api.md', 'utf8').matchAll(/^```sh\n([^]*?)^```$/gm)];
  t.equal(scripts.length, 5);
  for (const [, script = ''] of scripts) {
    const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script.replaceAll(DOCUMENTED_URL, url)]);
    const lines = stdout.trim().split('\n');
    t.equal(lines.length, script.match(/^(?:curl|echo)/gm)?.length, stdout);
    t.notMatch(stdout, /error/);
    t.match(stdout, script.includes('/v1/') ? /"acknowledged"|"lease":\{"token"/ : /^204$/m);
  }
});

void t.test('every route has a curl line', (t) => {
  for (const part of [
    '/v1/health',
    '/v1/ready',
    '/v1/events -H',
    '/v1/inbox',
    '/v1/events/$ID -H',
    '/ack',
    'DELETE',
  ]) {
    t.match(README, part);
  }
  t.end();
});

void t.test('the start on a terminal looks as shown', async (t) => {
  const shown = blocks.find(({ text }) => text.includes('INFO: listening'));
  const output = await startOnTerminal(t);
  // eslint-disable-next-line no-control-regex -- colours are written as control characters
  const plain = output.replaceAll(/\u001b\[[0-9;]*m/g, '').split('\n');
  const start = plain.slice(0, plain.findIndex((line) => line.includes('curl')) + 1).join('\n');
  t.equal(normal(start), normal(shown?.text ?? ''));
});

void t.test('the demo prints what is shown', async (t) => {
  const shown = blocks.find(({ text }) => text.startsWith('Real GitHub webhooks'));
  const { stdout } = await run('npm', ['run', '--silent', 'demo']);
  t.equal(normal(stdout), normal(shown?.text ?? ''));
});

void t.test('the configuration table has the defaults of the code', (t) => {
  // A default in words is none that can be set.
  const rows = [...README.matchAll(/^\| `([A-Z_]+)` +\| (?:`(.*?)`)?[^|]*\|/gm)];
  const env = Object.fromEntries(rows.map(([, name, value]) => [name ?? '', value ?? '']));
  t.same(readConfig(env), readConfig({}));
  const inCode = [...readFileSync('src/config.ts', 'utf8').matchAll(/read\('(\w+)'/g)].map(
    ([, name]) => name,
  );
  t.same(Object.keys(env).toSorted(), inCode.toSorted());
  t.end();
});

void t.test('links and scripts that are named exist', (t) => {
  for (const [, target] of README.matchAll(/\]\(([\w./-]+)\)/g))
    t.ok(existsSync(target ?? ''), String(target));
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  for (const [, name] of README.matchAll(/npm run (?:--silent )?([\w:-]+)/g))
    t.ok(scripts[name ?? ''], String(name));
  t.end();
});

void t.test('the packages that want a newer Node than 20 are those that the README names', (t) => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, { engines?: { node?: string } }>;
  };
  const newer = Object.entries(packages)
    .filter(([, { engines }]) =>
      (engines?.node ?? '').split('||').every((range) => /^ *>= ?2[1-9]/.test(range)),
    )
    .map(([path]) => path.replace(/.*node_modules\//, ''));
  const prose = README.replaceAll(/\s+/g, ' ');
  const sentence = /npm warns that two packages ask for 22 \(([^)]*)\)/.exec(prose)?.[1] ?? '';
  const named = [...sentence.matchAll(/`([^`]+)`/g)].map(([, name]) => name);
  t.strictSame(named.sort(), newer.sort());
  t.end();
});

void t.test('docs/api.md lists every error code', (t) => {
  const codes = [...readFileSync('src/http/request-error.ts', 'utf8').matchAll(/\| '([A-Z_]+)'/g)].map(
    ([, code = '']) => code,
  );
  t.ok(codes.length >= 13);
  const table = readFileSync('docs/api.md', 'utf8');
  for (const code of codes) t.match(table, new RegExp(`^\\| \\d{3} +\\| \`${code}\``, 'm'), code);
  t.end();
});
