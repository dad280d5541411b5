import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { version } from '../../src/version.ts';
import { startService } from '../support/process.ts';

const run = promisify(execFile);

// Outside of this repository, whose packages would otherwise be found where the installed package lacks one.
const folder = mkdtempSync(join(tmpdir(), 'triggers-api-pack-'));
t.teardown(() => {
  rmSync(folder, { recursive: true });
});

// Without what npm tells the scripts that it runs, which names this repository, and without tap's coverage of children.
const env = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name))),
  NODE_OPTIONS: '',
  NODE_ENV: '',
};

/** Packs a copy of the repository as `npm publish` would. */
async function pack(): Promise<{ tarball: string; files: string[] }> {
  const copy = join(folder, 'copy');
  mkdirSync(join(copy, 'dist'), { recursive: true });
  // Of an earlier build, whose source is gone.
  writeFileSync(join(copy, 'dist', 'gone.js'), '');
  for (const name of ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'src', 'docs', 'test']) {
    cpSync(name, join(copy, name), { recursive: true });
  }
  for (const name of ['README.md', 'LICENSE', 'CHANGELOG.md', '.env.example']) {
    cpSync(name, join(copy, name));
  }
  symlinkSync(resolve('node_modules'), join(copy, 'node_modules'));
  await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: copy, env });
  const tarball = join(folder, `triggers-api-${version}.tgz`);
  const { stdout } = await run('tar', ['-tzf', tarball]);
  return { tarball, files: stdout.trim().split('\n') };
}

void t.test('an installed package serves and has its commands, by the name triggers-api', async (t) => {
  const { tarball, files } = await pack();
  const sources = readdirSync('src', { recursive: true, encoding: 'utf8' });
  const built = sources
    // The client is a package of its own.
    .filter((name) => /(?<!\.d)\.m?ts$|\.mjs$/.test(name) && !name.startsWith('client/'))
    .map((name) => `dist/${name.replace(/ts$/, 'js')}`);
  t.strictSame(
    files.toSorted(),
    ['.env.example', 'CHANGELOG.md', 'LICENSE', 'README.md', 'package.json', ...built]
      .map((name) => `package/${name}`)
      .toSorted(),
    'what runs, and what tells of it',
  );

  const home = join(folder, 'home');
  mkdirSync(home);
  writeFileSync(join(home, 'package.json'), '{}');
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball], { cwd: home, env });
  const bin = join(home, 'node_modules', '.bin', 'triggers-api');
  t.equal((await run(bin, ['--version'], { env })).stdout, `${version}\n`);

  const settings = { ...env, AUTH_MODE: 'keys', DATA_DIR: join(home, 'data') };
  const service = await startService(t, settings, [bin]);
  // A port that no service could have does not matter to the commands.
  const { stdout } = await run(bin, ['keys', 'create', '--name', 'first', '--json'], {
    env: { ...settings, PORT: 'x' },
  });
  const { key } = JSON.parse(stdout) as { key: string };
  const sent = await fetch(`${service.url}/v1/events`, {
    method: 'POST',
    headers: { 'x-api-key': key, 'content-type': 'application/json' },
    body: '{"source":"s","event_type":"t","payload":{}}',
  });
  t.equal(sent.status, 201);
  for (const path of ['/docs', '/redoc']) {
    const page = await (await fetch(service.url + path)).text();
    for (const [, file = ''] of page.matchAll(/ src="\.([^"]+)"/g)) {
      t.equal((await fetch(service.url + file)).status, 200, `${path} finds ${file}`);
    }
  }
  const backup = join(home, 'backup.mdb');
  t.match((await run(bin, ['backup', backup], { env: settings })).stdout, `${backup}: `);
  service.child.kill('SIGTERM');
  t.equal(await service.ended, 0);
});
