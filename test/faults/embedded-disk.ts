import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { open } from 'lmdb';
import t from 'tap';
import type { Test } from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { makeStore, openTestStore } from '../support/embedded.ts';
import { jsonLines, startService } from '../support/process.ts';
import type { Service } from '../support/process.ts';
import { mountTmpfs } from '../support/tmpfs.ts';

const HEADERS = { 'x-api-key': LOCAL_KEY, 'content-type': 'application/json' };

async function post(url: string, bytes: number): Promise<{ status: number; id: string }> {
  const payload = { fill: 'x'.repeat(bytes) };
  const body = JSON.stringify({ source: 's', event_type: 't', payload });
  const response = await fetch(`${url}/v1/events`, { method: 'POST', headers: HEADERS, body });
  return { status: response.status, id: ((await response.json()) as { event_id: string }).event_id };
}

/** Sends events until each client has been refused; gives the ids that were stored. */
async function fillByPosts(url: string, bytes: number, clients = 8): Promise<string[]> {
  const stored: string[] = [];
  await Promise.all(
    Array.from({ length: clients }, async () => {
      for (;;) {
        const { status, id } = await post(url, bytes);
        if (status !== 201) break;
        stored.push(id);
      }
    }),
  );
  return stored;
}

/** Takes what is left of the disk. */
function fillTheRest(file: string): void {
  const fd = openSync(file, 'a');
  for (let block = 1024 * 1024; block >= 4096;) {
    try {
      writeSync(fd, Buffer.alloc(block));
    } catch {
      block /= 2;
    }
  }
  closeSync(fd);
}

async function acknowledge(url: string, id: string): Promise<number> {
  const response = await fetch(`${url}/v1/events/${id}/ack`, { method: 'POST', headers: HEADERS });
  await response.arrayBuffer();
  return response.status;
}

async function inbox(url: string): Promise<string[]> {
  const response = await fetch(`${url}/v1/inbox?limit=20`, { headers: HEADERS });
  const { events } = (await response.json()) as { events: { event_id: string }[] };
  return events.map(({ event_id: id }) => id);
}

/** Reads and acknowledges until nothing is left, or so many are; gives the ids. */
async function consume(t: Test, url: string, most = Infinity): Promise<string[]> {
  const done: string[] = [];
  for (let page = await inbox(url); page.length > 0 && done.length < most; page = await inbox(url)) {
    const statuses = await Promise.all(page.map((id) => acknowledge(url, id)));
    if (!statuses.every((status) => status === 200)) {
      t.fail(`acknowledged with ${statuses.join()}`);
      break;
    }
    done.push(...page);
  }
  return done;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 50));
}

const said = (service: Service, text: RegExp) =>
  jsonLines(service.output()).filter(({ msg }) => text.test(String(msg)));

void t.test(
  'below the reserve no event is taken and all else goes on, until there is clearly more',
  async (t) => {
    const disk = { bsize: 1, blocks: 1e9, bavail: 1e9, type: 0 };
    const lines: string[] = [];
    const line = (_: object, text: string) => lines.push(text);
    const log = { info: line, warn: line, error: line };
    const { store, add, event, inbox, clock } = await openTestStore(t, t.testdir(), {
      statfs: () => disk,
      log,
    });
    const [one, two, three] = [await add(), await add(), await add()];
    // A twentieth is the reserve.
    disk.bavail = 49e6;
    await t.rejects(store.append(event()), { name: 'StoreUnavailableError', message: /almost full/ });
    t.match(await store.acknowledge('acme', one.id, ++clock.time), { outcome: 'acknowledged' });
    t.equal(await store.remove('acme', two.id), true);
    await store.sweep();
    t.strictSame(await inbox(), [three]);
    await store.ping();
    disk.bavail = 60e6;
    t.match(await store.acknowledge('acme', three.id, ++clock.time), { outcome: 'acknowledged' });
    await t.rejects(store.append(event()), { name: 'StoreUnavailableError' });
    t.strictSame(
      lines.map((text) => text.slice(0, 23)),
      ['the disk is almost full'],
    );
    disk.bavail = 90e6;
    await until(() => lines.length > 1);
    await add();
    t.match(lines[1], /has room again/);
  },
);

void t.test('a disk that cannot be measured any more is no reason to stop', async (t) => {
  let fails = false;
  const statfs = () => {
    if (fails) throw new Error('ENOENT');
    return { bsize: 1, blocks: 1e9, bavail: 1e9, type: 0 };
  };
  const { add, inbox } = await openTestStore(t, t.testdir(), { statfs });
  fails = true;
  const one = await add();
  t.strictSame(await inbox(), [one]);
});

for (const [mebibytes, bytes] of [
  [24, 20_000],
  [64, 400_000],
] as const) {
  void t.test(
    `on a full disk of ${String(mebibytes)} MiB the inbox can be emptied, events of ${String(bytes)} bytes`,
    async (t) => {
      const folder = mountTmpfs(t, mebibytes);
      if (folder === undefined) return;
      const dataDir = join(folder, 'data');
      const rest = join(folder, 'rest');
      const first = await startService(t, { DATA_DIR: dataDir });
      const stored = await fillByPosts(first.url, bytes);
      t.ok(stored.length > 15, `${String(stored.length)} stored`);
      await until(() => said(first, /almost full/).length === 1);
      fillTheRest(rest);
      t.equal(statfsSync(folder).bavail, 0, 'and not a byte is left');
      t.equal((await fetch(`${first.url}/v1/ready`)).status, 200, 'consumers can be sent here');
      const consumed = await consume(t, first.url, stored.length / 3);
      t.equal((await post(first.url, 10)).status, 503);
      await until(() => said(first, /request refused/).length > 0);
      const [refused] = said(first, /request refused/);
      t.match(refused, { level: 'warn', status: 503, reason: /almost full/ });
      t.notOk('err' in (refused ?? {}), 'no stack for each of them');
      t.strictSame(
        jsonLines(first.output()).filter(({ level }) => level === 'error'),
        [],
      );

      first.child.kill('SIGKILL');
      await first.ended;
      const second = await startService(t, { DATA_DIR: dataDir });
      t.equal((await post(second.url, 10)).status, 503, 'also after a restart');
      consumed.push(...(await consume(t, second.url)));
      t.strictSame(new Set(consumed), new Set(stored), 'each event came out');
      for (const id of stored) {
        const response = await fetch(`${second.url}/v1/events/${id}`, { method: 'DELETE', headers: HEADERS });
        if (response.status !== 200) t.fail(`deleted with ${String(response.status)}`);
        await response.arrayBuffer();
      }
      t.equal((await post(second.url, 10)).status, 503, 'room in the file alone is not enough');

      rmSync(rest);
      await until(async () => (await post(second.url, 10)).status === 201);
      await until(() => said(second, /has room again/).length === 1);
      t.equal(second.child.exitCode, null);
      second.child.kill('SIGTERM');
      t.equal(await second.ended, 0);
    },
  );
}

void t.test('a disk that is full right after a look at it fails no commit', async (t) => {
  for (const bytes of [300, 20_000, 300_000]) {
    const folder = mountTmpfs(t, 64);
    if (folder === undefined) return;
    let isNext = false;
    const statfs = (path: string) => {
      const found = statfsSync(path);
      if (isNext) fillTheRest(join(folder, 'rest'));
      isNext = false;
      return found;
    };
    const { store, event, add, inbox, clock } = await openTestStore(t, join(folder, 'data'), { statfs });
    await add();
    isNext = true;
    const payload = JSON.stringify({ fill: 'x'.repeat(bytes) });
    const answers = await Promise.allSettled(
      Array.from({ length: 64 }, () => store.append(event({ payload }))),
    );
    t.equal(statfsSync(folder).bavail, 0);
    const refused = answers.filter((answer) => answer.status === 'rejected');
    for (const { reason } of refused)
      t.match(reason, { name: 'StoreUnavailableError', message: /almost full/ });
    const events = await inbox();
    t.equal(events.length, 1 + answers.length - refused.length);
    for (const { id } of events) {
      t.match(await store.acknowledge('acme', id, ++clock.time), { outcome: 'acknowledged' });
    }
    await t.rejects(store.append(event()), { message: /almost full/ });
  }
});

void t.test('on a full disk a reader, such as a backup, does not end consumption at once', async (t) => {
  const folder = mountTmpfs(t, 24);
  if (folder === undefined) return;
  const dataDir = join(folder, 'data');
  const service = await startService(t, { DATA_DIR: dataDir });
  await fillByPosts(service.url, 20_000);
  const reader = open({ path: join(dataDir, 'store.mdb'), noSubdir: true, readOnly: true });
  t.teardown(() => reader.close());
  const snapshot = reader.useReadTransaction();
  fillTheRest(join(folder, 'rest'));
  const consumed = await consume(t, service.url, 10);
  t.ok(consumed.length >= 10);
  snapshot.done();
  t.ok((await consume(t, service.url, 100)).length >= 100);
});

/** Files of the service may not grow beyond so many KiB: a write beyond it fails, as on a full disk that statfs does not tell of. */
const limited = (kibibytes: number) => {
  // Without tap's coverage, which would end the process at the SIGXFSZ that comes with it and that Node ignores.
  const command = `ulimit -f ${String(kibibytes)}; unset NODE_OPTIONS; exec "$0" --import=./.ci/typescript.mjs src/main.ts`;
  return ['bash', '-c', command, process.execPath] as const;
};

void t.test(
  'where files may not grow, no events are taken in time and the inbox can be emptied',
  async (t) => {
    const dataDir = t.testdir();
    const first = await startService(t, { DATA_DIR: dataDir }, limited(16_384));
    const stored = await fillByPosts(first.url, 20_000);
    t.ok(stored.length > 100, `${String(stored.length)} stored`);
    t.equal((await fetch(`${first.url}/v1/ready`)).status, 200);
    await until(() => said(first, /almost full/).length === 1);
    const consumed = new Set(await consume(t, first.url, stored.length / 3));
    first.child.kill('SIGKILL');
    await first.ended;

    const second = await startService(t, { DATA_DIR: dataDir }, limited(16_384));
    await fillByPosts(second.url, 20_000, 1);
    t.equal((await post(second.url, 10)).status, 503);
    for (const id of await consume(t, second.url)) consumed.add(id);
    t.strictSame(
      stored.filter((id) => !consumed.has(id)),
      [],
    );
    t.equal((await post(second.url, 10)).status, 503);
    second.child.kill('SIGTERM');
    t.equal(await second.ended, 0);

    const third = await startService(t, { DATA_DIR: dataDir });
    t.equal((await post(third.url, 10)).status, 201, 'without the limit it takes events again');
  },
);

void t.test(
  'a store that fails ends in order: each request gets its 503, readiness fails, exit code 1',
  async (t) => {
    for (const kibibytes of [400, 800]) {
      const dataDir = t.testdir();
      await makeStore(t, dataDir);
      const service = await startService(t, { DATA_DIR: dataDir }, limited(kibibytes));
      // Each client sends until it is refused; one that got no answer would reject.
      const clients = Array.from({ length: 64 }, () => fillByPosts(service.url, 2_000, 1));
      const stored = (await Promise.all(clients)).flat();
      t.ok(stored.length > 20);
      const ready = await fetch(`${service.url}/v1/ready`).then(({ status }) => status);
      t.equal(ready, 503);
      t.equal(await service.ended, 1);
      const fatal = jsonLines(service.output()).filter(({ level }) => level === 'fatal');
      t.match(fatal, [{ msg: /the store has failed/ }]);
      t.equal(fatal.length, 1, 'and nothing unexpected');
      t.match(jsonLines(service.output()).at(-1), { msg: 'stopped' });
    }
  },
);
