import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { makeStore, openTestStore } from '../../support/embedded.ts';

const child = fileURLToPath(new URL('../../support/embedded-child.ts', import.meta.url));

/** Runs a producer on the folder; `limit` is the size that its files may have, in blocks of 512 bytes. */
async function produce(path: string, limit: number | 'unlimited', until: (lines: string[]) => boolean) {
  // Without tap's coverage: it listens to the SIGXFSZ of a write beyond the limit, which Node ignores, and ends the process.
  const command = `ulimit -f ${String(limit)}; unset NODE_OPTIONS; exec "$0" --import=./.ci/typescript.mjs "$1" "$2"`;
  const started = spawn('sh', ['-c', command, process.execPath, child, path], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let output = '';
  started.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (until(output.split('\n'))) started.kill('SIGKILL');
  });
  const [code, signal] = (await once(started, 'close')) as [number | null, string | null];
  // A line that a killed process has not completed does not count.
  const lines = output.split('\n').slice(0, -1);
  const stored = lines.filter((line) => line.startsWith('stored ')).map((line) => line.slice(7));
  return { code, signal, stored, rest: lines.filter((line) => !line.startsWith('stored ')) };
}

for (const limit of [1_000, 3_001, 8_000]) {
  void t.test(`a disk that is full at ${String(limit)} blocks: nothing stored is lost`, async (t) => {
    const path = t.testdir();
    await makeStore(t, path, limit * 512 - 600_000);
    const { code, stored, rest } = await produce(path, limit, () => false);
    t.match(rest, [
      /^fatal The store has failed to write: /,
      'ends StoreUnavailableError',
      'later StoreUnavailableError',
      'ping StoreUnavailableError',
      'closed',
    ]);
    t.equal(rest.length, 5, 'onFatal once, nothing unhandled');
    t.equal(code, 0);
    t.ok(stored.length > 20);

    const { store, add, inbox } = await openTestStore(t, path);
    const missing = [];
    for (const id of stored) if ((await store.get('acme', id)) === undefined) missing.push(id);
    t.strictSame(missing, []);
    const { count } = await store.countPending('acme');
    t.ok(count >= stored.length);
    t.equal(
      (await inbox()).length,
      Math.min(count, 1000),
      'what was not acknowledged is there whole or not at all',
    );
    const one = await add();
    t.strictSame(await store.get('acme', one.id), one);
  });
}

void t.test('a killed server leaves its folder free and all that it stored', async (t) => {
  const path = t.testdir();
  const { signal, stored } = await produce(path, 'unlimited', (lines) => lines.length > 200);
  t.equal(signal, 'SIGKILL');
  const { store } = await openTestStore(t, path);
  const missing = [];
  for (const id of stored) if ((await store.get('acme', id)) === undefined) missing.push(id);
  t.strictSame(missing, []);
});
