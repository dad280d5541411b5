import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import t from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { backupCommand } from '../../src/cli/backup-command.ts';
import { openTestStore } from '../support/embedded.ts';
import { startService } from '../support/process.ts';

const HEADERS = { 'x-api-key': LOCAL_KEY, 'content-type': 'application/json' };

async function run(dataDir: string, ...args: string[]) {
  let stdout = '';
  let stderr = '';
  const code = await backupCommand(args, {
    env: { DATA_DIR: dataDir },
    stdout: (text) => (stdout += text),
    stderr: (text) => (stderr += text),
  });
  return { code, stdout, stderr };
}

/** As users do, beside a running server. */
function spawnBackup(dataDir: string, file: string) {
  const child = spawn(
    process.execPath,
    ['--import=./.ci/typescript.mjs', 'src/cli/triggers-api.ts', 'backup', file],
    {
      env: { ...process.env, NODE_NO_WARNINGS: '1', DATA_DIR: dataDir },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.on('close', (code) => {
      resolve({ code, stdout, stderr });
    });
  });
}

void t.test('a backup under load has every event that was acknowledged before it began', async (t) => {
  const folder = t.testdir({ live: {} });
  const service = await startService(t, { DATA_DIR: join(folder, 'live') });
  const stored: string[] = [];
  let stopped = false;
  const producers = Array.from({ length: 64 }, async (_, client) => {
    while (!stopped) {
      const payload = { client, fill: 'x'.repeat((client * 97) % 5_000) };
      const body = JSON.stringify({ source: 's', event_type: 't', payload });
      const response = await fetch(`${service.url}/v1/events`, { method: 'POST', headers: HEADERS, body });
      const { event_id: id } = (await response.json()) as { event_id: string };
      if (response.status === 201) stored.push(id);
    }
  });
  const backups: { file: string; before: number }[] = [];
  for (let round = 1; round <= 3; round++) {
    while (stored.length < round * 500) await sleep(1);
    const before = stored.length;
    const file = join(folder, `backup-${String(round)}`);
    const { code, stdout, stderr } = await spawnBackup(join(folder, 'live'), file);
    t.same([code, stderr], [0, '']);
    t.equal(stdout, `${file}: ${String(statSync(file).size)} bytes\n`);
    t.equal(statSync(file).mode & 0o777, 0o600);
    t.ok(stored.length > before, 'producers went on');
    backups.push({ file, before });
  }
  stopped = true;
  await Promise.all(producers);

  for (const { file, before } of backups) {
    const restored = `${file}-restored`;
    mkdirSync(restored);
    copyFileSync(file, join(restored, 'store.mdb'));
    const again = await startService(t, { DATA_DIR: restored });
    const found = await readAll(again.url);
    t.strictSame(
      stored.slice(0, before).filter((id) => !found.has(id)),
      [],
      `${String(before)} are there, of ${String(found.size)}`,
    );
    again.child.kill('SIGTERM');
    t.equal(await again.ended, 0);
  }
});

async function readAll(url: string): Promise<Set<string>> {
  const found = new Set<string>();
  for (let cursor: string | null = ''; cursor !== null;) {
    const response: Response = await fetch(`${url}/v1/inbox?limit=100${cursor && `&cursor=${cursor}`}`, {
      headers: HEADERS,
    });
    const page = (await response.json()) as {
      events: { event_id: string }[];
      pagination: { next_cursor: string | null };
    };
    for (const { event_id: id } of page.events) found.add(id);
    cursor = page.pagination.next_cursor;
  }
  return found;
}

void t.test('a backup replaces nothing unless told to, and leaves nothing half done', async (t) => {
  const folder = t.testdir({ data: {}, out: { taken: 'mine' } });
  const data = join(folder, 'data');
  const { add } = await openTestStore(t, data);
  await add();
  const file = join(folder, 'out', 'taken');
  t.match(await run(data, file), {
    code: 1,
    stderr: /^backup: .*taken is there already; --force replaces it\n$/,
  });
  t.equal(statSync(file).size, 4);
  writeFileSync(`${file}.draft`, 'of a backup that was killed');
  t.match(await run(data, file, '--force'), { code: 0, stderr: '' });
  t.ok(statSync(file).size > 4096);
  t.strictSame(readdirSync(join(folder, 'out')), ['taken']);

  t.match(await run(data, join(folder, 'nowhere', 'file')), {
    code: 1,
    stderr: /there is no folder .*nowhere/,
  });
  t.notOk(existsSync(join(folder, 'nowhere')));
  t.match(await run(join(folder, 'out'), join(folder, 'other')), { code: 1, stderr: /There is no store in/ });
  t.match(await run(data), { code: 2, stderr: /takes one FILE/ });
  t.match(await run(data, 'a', 'b'), { code: 2, stderr: /takes one FILE/ });
  t.match(await run(data, 'a', '--fast'), { code: 2, stderr: /--fast/ });
  t.match(await run(data, '--help'), { code: 0, stdout: /^Usage: triggers-api backup FILE/ });
});
