/**
 * The image, without a container engine: runs the steps of the Dockerfile on a Debian of its release, and the result as an engine
 * runs it. The base is made by `.ci/image-base`.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { freePort } from '../../src/cli/dynamodb-local.ts';
import { version } from '../../src/version.ts';
import type { Json } from '../support/app.ts';
import { buildImage } from '../support/image/build.ts';
import type { Container } from '../support/image/container.ts';
import { startContainer } from '../support/image/container.ts';
import { inRoot } from '../support/image/root.ts';

const CACHE = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'triggers-api', 'image');
const BASE = join(CACHE, 'root');

execFileSync('.ci/image-base', [CACHE], { stdio: 'inherit' });

// Not in the repository, whose packages would otherwise be found where the image lacks one.
const folder = mkdtempSync(join(tmpdir(), 'triggers-api-image-'));
t.teardown(() => {
  rmSync(folder, { recursive: true });
});

const steps: string[] = [];
const begun = performance.now();
const image = buildImage({
  base: BASE,
  folder,
  caches: `${CACHE}-caches`,
  buildArgs: { REVISION: 'abc123', SOURCE: 'https://git.example/triggers-api' },
  onStep: ({ keyword, line }) => steps.push(`${String(line)} ${keyword}`),
});
t.comment(`${String(steps.length)} steps took ${((performance.now() - begun) / 1000).toFixed(1)} s`);

const [layer = ''] = image.root.layers;

/** A folder that the image's user may write to. */
function newVolume(name: string): string {
  const path = join(folder, name);
  mkdirSync(path, { mode: 0o700 });
  chownSync(path, 1000, 1000);
  return path;
}

void t.test('what the image says of itself', (t) => {
  t.same(image.labels.get('org.opencontainers.image.version'), version);
  t.same(
    [...image.labels.keys()].map((name) => name.replace('org.opencontainers.image.', '')),
    ['title', 'description', 'licenses', 'version', 'source', 'revision'],
  );
  t.equal(image.labels.get('org.opencontainers.image.revision'), 'abc123');
  const { description, license } = JSON.parse(readFileSync('package.json', 'utf8')) as Json;
  t.equal(image.labels.get('org.opencontainers.image.description'), description);
  t.equal(image.labels.get('org.opencontainers.image.licenses'), license);
  t.match(image, { user: '1000:1000', stopSignal: 'SIGTERM', volumes: ['/data'], ports: ['8080'] });
  t.same([...image.entrypoint, ...image.cmd], ['triggers-api']);
  t.same(image.health?.command, ['triggers-api', 'health']);
  t.end();
});

void t.test('it is small, and nothing in it is for developers', (t) => {
  const kilobytes = (path: string) =>
    Number(execFileSync('du', ['-sk', path], { encoding: 'utf8' }).split('\t')[0]);
  const [own, base] = [kilobytes(layer), kilobytes(BASE)];
  t.comment(`${(own / 1024).toFixed(1)} MB on a base of ${(base / 1024).toFixed(0)} MB`);
  t.ok(own < 60 * 1024, `${String(own)} KB of layers`);
  const files = readdirSync(layer, { recursive: true, encoding: 'utf8' });
  t.comment(`${String(files.length)} files, sha256 of all: ${digestOf(join(layer, 'app')).slice(0, 16)}`);
  t.same(
    files.filter((name) =>
      /\.(?:map|d\.[cm]?ts)$|node_modules\/(?:typescript|tap|npm)\/|\.npm\b|\.tsbuildinfo$/.test(name),
    ),
    [],
  );
  t.end();
});

/** Of the names, modes and contents of all files: the same for the same sources. */
function digestOf(path: string): string {
  const hash = createHash('sha256');
  const entries = readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  for (const file of entries) hash.update(`${file.slice(path.length)}\0`).update(readFileSync(file));
  return hash.digest('hex');
}

void t.test('its user can write to /data only', (t) => {
  const look =
    'chroot "$ROOT" /usr/bin/setpriv --reuid=1000 --regid=1000 --clear-groups find / -xdev -writable ! -type l';
  inRoot(image.root, `${look} > ${join(folder, 'writable')} || true`);
  const places = readFileSync(join(folder, 'writable'), 'utf8').trim().split('\n');
  t.same(
    // Debian's own places for temporary files, and the home of the base's user: read-only in a container as it should be run.
    places.filter((path) => !/^\/(?:tmp|var\/tmp|run\/lock|home\/node)(?:\/|$)/.test(path)),
    ['/data'],
  );
  t.end();
});

void t.test(
  'it serves on a read-only root, is healthy, and keeps its events',
  { timeout: 120_000 },
  async (t) => {
    const port = String(await freePort());
    const api = `http://127.0.0.1:${port}`;
    const data = newVolume('data');
    const run = () => startContainer(t, image, { env: { PORT: port }, volumes: { '/data': data } });

    const first = run();
    await first.listening;
    const health = await first.exec(image.health?.command ?? []);
    t.match(health, { code: 0, stdout: /"status":"ready"/, stderr: '' });
    t.comment(`HEALTHCHECK took ${health.ms.toFixed(0)} ms`);
    const created = await first.exec(['triggers-api', 'keys', 'create', '--name', 'first', '--json']);
    t.match(created, { code: 0, stderr: '' });
    const { key } = JSON.parse(created.stdout) as { key: string };
    const headers = { 'x-api-key': key, 'content-type': 'application/json' };
    const body = '{"source":"s","event_type":"t","payload":{"n":1.10}}';
    t.equal((await fetch(`${api}/v1/events`, { method: 'POST', headers, body })).status, 201);
    t.match(await (await fetch(`${api}/v1/inbox`, { headers })).text(), /"payload":\{"n":1\.10\}/);
    await pagesAreWhole(api);
    const backup = await first.exec(['triggers-api', 'backup', '/data/backup.mdb']);
    t.match(backup, { code: 0, stdout: /^\/data\/backup\.mdb: \d+ bytes\n$/ });
    await stops(first);

    const second = run();
    await second.listening;
    t.match(
      await (await fetch(`${api}/v1/inbox`, { headers })).text(),
      /"payload":\{"n":1\.10\}/,
      'after a restart',
    );
    await stops(second);

    async function stops(container: Container): Promise<void> {
      const begun = performance.now();
      container.kill(image.stopSignal);
      t.equal(await container.ended, 0, container.output());
      t.ok(performance.now() - begun < 10_000, 'within the grace that Docker gives');
    }

    async function pagesAreWhole(api: string): Promise<void> {
      for (const path of ['/docs', '/redoc']) {
        const page = await (await fetch(api + path)).text();
        const files = [...page.matchAll(/ (?:src|href)="\.(\/assets[^"]+)"/g)].map(([, file]) =>
          String(file),
        );
        t.ok(files.length >= 2, `${path} has files`);
        for (const file of files) t.equal((await fetch(api + file)).status, 200, `${path} finds ${file}`);
      }
    }
  },
);

void t.test('a start without a data folder that can be written to says so', async (t) => {
  const refused = startContainer(t, image, { env: { PORT: '0' } });
  t.equal(await refused.ended, 1);
  t.match(
    refused.output(),
    /Cannot start: The data folder \/data cannot be used: .*(?:EROFS|EACCES|read-only)/,
  );
  t.notMatch(refused.output(), /\n {4}at /, 'no stack');
  const foreign = join(folder, 'foreign');
  mkdirSync(foreign, { mode: 0o755 });
  const denied = startContainer(t, image, { env: { PORT: '0' }, volumes: { '/data': foreign } });
  t.equal(await denied.ended, 1);
  t.match(denied.output(), /Cannot start: The data folder \/data cannot be used: .*EACCES/);
});

void t.test('the test key is refused, as the image is for production', async (t) => {
  const refused = startContainer(t, image, {
    env: { AUTH_MODE: 'local' },
    volumes: { '/data': newVolume('unused') },
  });
  t.equal(await refused.ended, 78);
  t.match(refused.output(), /AUTH_MODE: local is for development/);
});
