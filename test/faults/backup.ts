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
function spawnCommand(dataDir: string, ...args: string[]) {
  const child = spawn(
    process.execPath,
    ['--import=./.ci/typescript.mjs', 'src/cli/triggers-api.ts', ...args],
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

/** Sends events from 64 clients, and acknowledges every third, until it is stopped. */
function startLoad(url: string) {
  const stored: string[] = [];
  const acknowledged: string[] = [];
  let stopped = false;
  const clients = Array.from({ length: 64 }, async (_, client) => {
    for (let n = 0; !stopped; n++) {
      const payload = { client, fill: 'x'.repeat((client * 97) % 5_000) };
      // Half of the events have a claim.
      const metadata = client % 2 === 0 ? {} : { idempotency_key: `${String(client)}-${String(n)}` };
      const body = JSON.stringify({ source: 's', event_type: 't', payload, metadata });
      const response = await fetch(`${url}/v1/events`, { method: 'POST', headers: HEADERS, body });
      const { event_id: id } = (await response.json()) as { event_id: string };
      if (response.status !== 201) continue;
      if (n % 3 !== 0) {
        stored.push(id);
        continue;
      }
      const answer = await fetch(`${url}/v1/events/${id}/ack`, { method: 'POST', headers: HEADERS });
      if (answer.status === 200) acknowledged.push(id);
    }
  });
  return {
    ...{ stored, acknowledged },
    async stop() {
      stopped = true;
      await Promise.all(clients);
    },
  };
}

void t.test(
  'a backup under load has every event and acknowledgement that was answered before it began',
  async (t) => {
    const folder = t.testdir({ live: {} });
    const service = await startService(t, { DATA_DIR: join(folder, 'live') });
    const load = startLoad(service.url);
    const live = join(folder, 'live');
    const backups: { file: string; stored: number; acknowledged: number }[] = [];
    for (let round = 1; round <= 3; round++) {
      while (load.stored.length < round * 500) await sleep(1);
      const before = { stored: load.stored.length, acknowledged: load.acknowledged.length };
      const file = join(folder, `backup-${String(round)}`);
      const { code, stdout, stderr } = await spawnCommand(live, 'backup', file);
      t.same([code, stderr], [0, '']);
      t.equal(stdout, `${file}: ${String(statSync(file).size)} bytes\n`);
      t.equal(statSync(file).mode & 0o777, 0o600);
      t.ok(load.stored.length > before.stored, 'clients went on');
      backups.push({ file, ...before });
      t.match(
        await spawnCommand(live, 'verify'),
        { code: 0, stdout: /all is sound/, stderr: '' },
        'under load',
      );
      t.match(await spawnCommand(live, 'verify', file), { code: 0, stdout: /all is sound/ }, 'the backup');
    }
    await load.stop();

    for (const { file, ...before } of backups) {
      const restored = `${file}-restored`;
      mkdirSync(restored);
      copyFileSync(file, join(restored, 'store.mdb'));
      const again = await startService(t, { DATA_DIR: restored });
      const found = await readAll(again.url);
      t.strictSame(
        load.stored.slice(0, before.stored).filter((id) => !found.has(id)),
        [],
        `${String(before.stored)} are there, of ${String(found.size)}`,
      );
      const acknowledged = load.acknowledged.slice(0, before.acknowledged);
      t.ok(acknowledged.length > 0);
      t.strictSame(
        acknowledged.filter((id) => found.has(id)),
        [],
        'what was acknowledged stays so',
      );
      for (const id of acknowledged.slice(0, 20)) {
        const event = await (await fetch(`${again.url}/v1/events/${id}`, { headers: HEADERS })).text();
        t.match(event, /"status":"acknowledged"/);
      }
      again.child.kill('SIGTERM');
      t.equal(await again.ended, 0);
      t.match(await spawnCommand(restored, 'verify'), { code: 0, stdout: /all is sound/ }, 'after a start');
    }
  },
);

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

void t.test('a compact backup is as large as what is stored, and is whole', async (t) => {
  const folder = t.testdir({ data: {}, restored: {} });
  const data = join(folder, 'data');
  const { store, add } = await openTestStore(t, data);
  const kept = await add();
  const payload = JSON.stringify({ fill: 'x'.repeat(100_000) });
  for (let n = 0; n < 50; n++) await store.remove('acme', (await add({ payload })).id);
  const many = await Promise.all(Array.from({ length: 50 }, () => add({ payload })));
  for (const { id } of many) await store.remove('acme', id);
  await store.close();
  const [whole, compact] = [join(folder, 'whole'), join(folder, 'restored', 'store.mdb')];
  t.match(await run(data, whole), { code: 0, stderr: '' });
  t.match(await run(data, compact, '--compact'), { code: 0, stderr: '' });
  t.ok(statSync(whole).size > 4_000_000 && statSync(compact).size < 200_000, String(statSync(compact).size));
  t.match(await spawnCommand(data, 'verify', compact), { code: 0, stdout: /events 1, / });
  const restored = await openTestStore(t, join(folder, 'restored'));
  t.match(await restored.store.get('acme', kept.id), { id: kept.id });
});
