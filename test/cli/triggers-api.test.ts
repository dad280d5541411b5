import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { version } from '../../src/version.ts';
import { startService } from '../support/process.ts';

const BIN = [
  process.execPath,
  `--import=${resolve('.ci/typescript.mjs')}`,
  resolve('src/cli/triggers-api.ts'),
] as const;

async function run(args: readonly string[], { cwd = '.', env = {} } = {}) {
  const [node, ...rest] = BIN;
  const child = spawn(node, [...rest, ...args], { cwd, env: { ...process.env, ...env } });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await ended, stdout, stderr };
}

void t.test('without a command the service starts', async (t) => {
  const service = await startService(t, { DATA_DIR: t.testdir() }, BIN);
  t.equal((await fetch(`${service.url}/v1/ready`)).status, 200);
  service.child.kill('SIGTERM');
  t.equal(await service.ended, 0);
});

void t.test('--help, --version, and what is not understood', async (t) => {
  t.same(await run(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' });
  const help = await run(['--help']);
  t.match(help, { code: 0, stderr: '' });
  for (const [, command = ''] of help.stdout.matchAll(/^ {2}(\w+) /gm)) {
    t.match(await run([command, '--help']), { code: 0, stdout: `Usage: triggers-api ${command} ` });
  }
  for (const unknown of ['serve', '--port', 'constructor']) {
    t.match(await run([unknown]), {
      code: 2,
      stdout: '',
      stderr: `triggers-api: there is no command "${unknown}"\n\nUsage: triggers-api `,
    });
  }
});

void t.test('a reader that has gone ends a command without a stack', async (t) => {
  const [node, ...rest] = BIN;
  for (const args of [['--help'], ['verify', '--help']]) {
    const child = spawn(node, [...rest, ...args]);
    child.stdout.destroy();
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    t.equal(await text(child.stderr), '');
    t.equal(await ended, 141);
  }
});

void t.test('what only the service reads may be wrong, what names the store may not', async (t) => {
  const store = { DATA_DIR: t.testdir() };
  const wrong = { PORT: 'x', LOG_LEVEL: 'loud', TLS_CERT_FILE: 'cert.pem', NODE_ENV: 'production' };
  t.match(await run(['keys', 'create', '--name', 'n'], { env: { ...store, ...wrong } }), { code: 0 });
  t.match(await run(['keys', 'list'], { env: { ...store, ...wrong } }), { code: 0, stderr: '' });
  t.match(await run(['keys', 'list'], { env: { ...store, STORE: 'file' } }), {
    code: 1,
    stderr: /^keys: STORE: takes embedded or dynamodb/,
  });
});

void t.test('.env is read by the commands too', async (t) => {
  const cwd = t.testdir({ good: { '.env': 'STORE=file\n' }, bad: { '.env': {} } });
  t.match(await run(['keys', 'list'], { cwd: `${cwd}/good` }), { code: 1, stderr: /STORE: takes .* "file"/ });
  t.match(await run(['keys', 'list'], { cwd: `${cwd}/bad` }), {
    code: 1,
    stderr: /^keys: \.env: cannot be read: .*\n$/,
  });
});
