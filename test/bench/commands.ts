import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import t from 'tap';
import { idleCores } from '../../bench/suites/health.ts';
import { SUITES } from '../../bench/suites/suites.ts';

/** `npm run bench -- <args>`, of what neither builds nor measures. */
async function bench(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const script = ['--import=./.ci/typescript.mjs', 'bench/main.ts', ...args];
  return promisify(execFile)(process.execPath, script).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: unknown) => error as { code: number; stdout: string; stderr: string },
  );
}

const COMMANDS = [
  'compare',
  'counters',
  'metrics',
  'report',
  'memory',
  'profile',
  'sweep',
  'brownout',
  'batching',
  'costs',
  'lmdb-writes',
  'layouts',
  'disk',
  'worst',
  'help',
];
const NAMES = [...SUITES.map(({ name }) => name), ...COMMANDS];

void t.test('help lists every suite and every command with a line each', async (t) => {
  for (const args of [['help'], ['--help'], ['-h']]) {
    const { code, stdout } = await bench(...args);
    t.equal(code, 0);
    for (const name of NAMES) t.match(stdout, new RegExp(`^  ${name} +\\S`, 'm'), name);
  }
});

const MISUSES: Record<string, [args: string[], problem: string]> = {
  'an unknown command': [['nonsense'], 'there is no suite or command nonsense'],
  'a suite that there is not': [['inbox', 'outbox'], 'there is no suite or command outbox'],
  'an unknown option': [['--fast'], "Unknown option '--fast'"],
  'an unknown option of a command': [['memory', '--fast'], "Unknown option '--fast'"],
  'a store that there is not': [['--store', 'redis'], '--store takes embedded or dynamodb, not redis'],
  'a number that is none': [['sweep', '--seconds', 'x'], '--seconds takes a number above 0, not x'],
  'a service without a key': [['--url', 'http://127.0.0.1:1'], '--url and --key go together'],
  'nothing to compare': [['compare'], 'compare takes commits'],
  'a profile of an emulator that is not used': [
    ['profile', '--of', 'emulator'],
    '--of takes service, or with',
  ],
  'a report of a file that there is not': [['report', 'nowhere.jsonl'], 'there is no file nowhere.jsonl'],
};

for (const [name, [args, problem]] of Object.entries(MISUSES)) {
  void t.test(`${name}: 2, and the list`, async (t) => {
    const { code, stderr } = await bench(...args);
    t.equal(code, 2);
    t.ok(stderr.includes(problem), stderr);
    t.match(stderr, /^ {2}compare +ingest of several commits/m);
  });
}

void t.test('there is one script of the benchmark, and documents name what it has', (t) => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  t.same(
    Object.keys(scripts).filter((name) => name.startsWith('bench')),
    ['bench'],
  );
  const documents = readdirSync('docs', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`);
  for (const path of [...documents, 'README.md', 'bench/report/lessons.md']) {
    const text = readFileSync(path, 'utf8');
    t.notMatch(text, /\bbench:[a-z]/, path);
    for (const [call, name = ''] of text.matchAll(/npm run (?:--silent )?bench -- (?!--)([\w-]+)/g))
      t.ok(NAMES.includes(name), `${path}: ${call}`);
  }
  t.end();
});

void t.test('no core is named where nothing is pinned', (t) => {
  const names = (...of: Parameters<typeof idleCores>) => idleCores(...of).map(({ what }) => what);
  t.strictSame(names('embedded', true), ['no requests, core of the server', 'no requests, core of the load']);
  t.strictSame(names('embedded', false), ['no requests, whichever core']);
  t.strictSame(names('dynamodb', true), ['no requests, whichever core']);
  t.end();
});
