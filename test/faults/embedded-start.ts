import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { checkLmdbFile } from '../../src/store/embedded/lmdb-file.ts';
import { cutTail, lastPage, openRawMeta, openTestStore } from '../support/embedded.ts';
import { jsonLines, spawnMain, startService } from '../support/process.ts';
import { mountTmpfs } from '../support/tmpfs.ts';
import { jsonEntry } from '../../src/store/embedded/seal.ts';

// Much of their time they wait for a service to start or to end.
t.jobs = 2;

/** Starts the service on the folder and gives why it did not. */
async function refusal(t: Test, dataDir: string, command?: Parameters<typeof spawnMain>[2]): Promise<string> {
  const { ended, output } = spawnMain(t, { PORT: '0', DATA_DIR: dataDir }, command);
  t.equal(await ended, 1, `${dataDir.slice(0, 80)}: an exit code, and no signal`);
  const line = jsonLines(output()).find(({ level }) => level === 'fatal') as
    { err?: { message: string } } | undefined;
  return line?.err?.message ?? output();
}

void t.test('a folder that cannot be had is told at once, with the reason', async (t) => {
  const folder = t.testdir({ file: 'text', locked: {} });
  symlinkSync(join(folder, 'nowhere'), join(folder, 'dangling'));
  const cases: readonly (readonly [path: string, reason: RegExp])[] = [
    ['/proc/x', /ENOENT/],
    ['/proc/self/x/y', /ENOENT/],
    ['/dev/null/x', /ENOTDIR/],
    [join(folder, 'file'), /it is a file, not a folder/],
    [join(folder, 'file', 'below'), /ENOTDIR/],
    [join(folder, 'dangling'), /symbolic link to a folder that does not exist/],
    [join(folder, 'dangling', 'below'), /symbolic link to a folder that does not exist/],
    [join(folder, 'x'.repeat(300)), /ENAMETOOLONG/],
  ];
  for (const [path, reason] of cases) {
    const message = await refusal(t, path);
    t.match(message, `The data folder ${path} cannot be used: `);
    t.match(message, reason);
  }
});

void t.test('a folder without permission is told', async (t) => {
  const folder = t.testdir({ locked: {} });
  chmodSync(join(folder, 'locked'), 0o500);
  // Root may write everywhere, unless it gives that up.
  const command =
    process.getuid?.() === 0 ? (['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--'] as const) : [];
  const node = [process.execPath, '--import=./.ci/typescript.mjs', 'src/main.ts'];
  const message = await refusal(t, join(folder, 'locked', 'new'), [...command, ...node] as [
    string,
    ...string[],
  ]);
  t.match(message, /The data folder .* cannot be used: EACCES/);
});

void t.test('a full disk at the first start is told', async (t) => {
  const folder = mountTmpfs(t, 1);
  if (folder === undefined) return;
  const fill = openSync(join(folder, 'fill'), 'w');
  try {
    for (;;) writeSync(fill, Buffer.alloc(4096));
  } catch {
    closeSync(fill);
  }
  t.match(await refusal(t, join(folder, 'data')), /The data folder .* cannot be used: ENOSPC/);
  t.notOk(existsSync(join(folder, 'data', 'store.mdb')), 'nothing half made');
});

/** A folder with events in it, closed. */
async function filled(t: Test): Promise<{ path: string; file: string }> {
  const path = t.testdir();
  const { store, add } = await openTestStore(t, path);
  for (let n = 0; n < 50; n++) await add({ payload: `{"fill":"${'x'.repeat(9_000)}"}` });
  await store.close();
  const file = join(path, 'store.mdb');
  cutTail(file);
  return { path, file };
}

void t.test('a damaged or truncated file stops the start and says what to do', async (t) => {
  const { path, file } = await filled(t);
  const good = join(path, 'good');
  copyFileSync(file, good);
  for (const [name, damage, reason] of damages(file, statSync(good).size)) {
    copyFileSync(good, file);
    rmSync(`${file}-lock`, { force: true });
    damage();
    const before = readFileSync(file);
    const message = await refusal(t, path);
    t.match(message, reason, name);
    t.match(message, file);
    t.match(message, 'triggers-api backup');
    t.ok(readFileSync(file).equals(before), 'the file is left as it is');
  }
  copyFileSync(good, file);
  const { inbox } = await openTestStore(t, path);
  t.equal((await inbox()).length, 50, 'the good one opens');
});

function damages(
  file: string,
  size: number,
): readonly (readonly [name: string, damage: () => void, reason: RegExp])[] {
  const metaPages = /its meta pages are damaged, or it is no LMDB file/;
  return [
    [
      'zeros over both meta pages',
      () => {
        overwrite(file, 0, Buffer.alloc(8192));
      },
      metaPages,
    ],
    [
      'noise over both meta pages',
      () => {
        overwrite(file, 0, Buffer.alloc(8192, 'noise'));
      },
      metaPages,
    ],
    [
      'zeros over the first',
      () => {
        overwrite(file, 0, Buffer.alloc(4096));
      },
      metaPages,
    ],
    [
      'zeros over the second',
      () => {
        overwrite(file, 4096, Buffer.alloc(4096));
      },
      metaPages,
    ],
    [
      'a text',
      () => {
        writeFileSync(file, 'no store');
      },
      metaPages,
    ],
    [
      'half of it',
      () => {
        truncateSync(file, size / 2);
      },
      new RegExp(`it has ${String(size / 2)} bytes where ${String(size)} are needed`),
    ],
    [
      'one page less',
      () => {
        truncateSync(file, size - 4096);
      },
      /are needed; it was cut off, or copied while the service ran/,
    ],
    [
      'one page',
      () => {
        truncateSync(file, 4096);
      },
      metaPages,
    ],
    [
      'zeros over all but the meta pages',
      () => {
        overwrite(file, 8192, Buffer.alloc(size - 8192));
      },
      /the pages that its meta pages name are damaged/,
    ],
  ];
}

function overwrite(file: string, at: number, bytes: Buffer): void {
  const fd = openSync(file, 'r+');
  writeSync(fd, bytes, 0, bytes.length, at);
  closeSync(fd);
}

void t.test(
  'a file that is shorter than its last page is sound when the pages that it lacks are free',
  async (t) => {
    const path = t.testdir();
    const { store, add } = await openTestStore(t, path);
    const small = [];
    for (let n = 0; n < 50; n++) small.push(await add());
    await store.close();
    const file = join(path, 'store.mdb');
    cutTail(file);
    // LMDB takes a hundred pages at the end and lets them go without having written them.
    const meta = openRawMeta(t, path);
    const key = Buffer.from('large');
    meta.transactionSync(() => {
      meta.putSync(key, Buffer.alloc(400_000));
      meta.putSync(Buffer.from('small'), Buffer.alloc(1));
      meta.removeSync(key);
    });
    t.ok(statSync(file).size < (lastPage(file) + 1) * 4096, 'it is shorter');
    checkLmdbFile(file);
    const again = await openTestStore(t, path);
    t.strictSame(await again.inbox(), small);
  },
);

void t.test('a folder has a format; one of a newer build stops the start', async (t) => {
  const { path, file } = await filled(t);
  const meta = openRawMeta(t, path);
  const { key, value } = jsonEntry(Buffer.from('format'), 2);
  t.strictSame(meta.getBinary(key), value, 'a new folder');
  meta.removeSync(key);
  const old = await openTestStore(t, path);
  t.equal((await old.inbox()).length, 50);
  await old.store.close();
  t.strictSame(meta.getBinary(key), value, 'one of before');

  meta.putSync(key, Buffer.from('damaged'));
  const damaged = await openTestStore(t, path);
  t.match(damaged.damage, [/format in .* is damaged/]);
  await damaged.store.close();
  t.strictSame(meta.getBinary(key), value);

  meta.putSync(key, jsonEntry(Buffer.from('format'), 3).value);
  const message = await refusal(t, path);
  t.match(
    message,
    `The store ${file} has format 3, of a newer version of this service; this version knows formats up to 2`,
  );
});

void t.test('a network file system is refused, a doubtful one is warned of once', async (t) => {
  const statfs = (type: number) => () => ({ type, bsize: 4096, blocks: 1e9, bavail: 1e9 });
  for (const [type, name] of [
    [0x6969, 'NFS'],
    [0xff534d42, 'CIFS'],
    [0xfe534d42 - 2 ** 32, 'SMB2'],
  ] as const) {
    const path = t.testdir();
    await t.rejects(openTestStore(t, path, { statfs: statfs(type) }), {
      message: `The data folder ${path} is on a network file system (${name})`,
    });
    const { store } = await openTestStore(t, path);
    await store.close();
  }
  for (const [type, warnings] of [
    [0x65735546, [/of the kind FUSE/]],
    [0xef53, []],
  ] as const) {
    const warned: string[] = [];
    const log = { info: () => 0, error: () => 0, warn: (_: object, text: string) => warned.push(text) };
    const { store, add } = await openTestStore(t, t.testdir(), { statfs: statfs(type), log });
    await add();
    t.match(warned, warnings);
    t.equal(warned.length, warnings.length);
    await store.close();
  }
});

void t.test('a command in another PID namespace is told at once to run where the server does', async (t) => {
  const namespace = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'] as const;
  if (spawnSync(namespace[0], [...namespace.slice(1), 'true']).status !== 0) {
    t.comment('not run: no PID namespace can be made here');
    return;
  }
  const path = t.testdir();
  const service = await startService(t, { DATA_DIR: path });
  const list = () => {
    const { status, stderr } = spawnSync(
      namespace[0],
      [
        ...namespace.slice(1),
        process.execPath,
        '--import=./.ci/typescript.mjs',
        'src/cli/triggers-api.ts',
        'keys',
        'list',
      ],
      { env: { ...process.env, DATA_DIR: path }, encoding: 'utf8' },
    );
    return { status, stderr };
  };
  t.match(list(), {
    status: 1,
    stderr: /^keys: The server that uses .* runs in another PID namespace.*docker exec/,
  });
  service.child.kill('SIGTERM');
  t.equal(await service.ended, 0);
  t.match(list(), { status: 0 }, 'without a server there is nothing to be mistaken about');
});
