import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openTestStore } from '../support/embedded.ts';

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...args: string[]): Promise<Ended> {
  const command = ['--import=./.ci/typescript.mjs', 'src/cli/triggers-api.ts', ...args];
  return new Promise((resolve) => {
    const child = execFile(process.execPath, command, (_, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr });
    });
  });
}

/** The bounds of a page and the places of its first entries, so that they lead out of it; and its content. */
const DAMAGES = [
  { from: 22, to: 28, byte: 0x99 },
  { from: 24, to: 4_096, byte: 0x5a },
];

void t.test(
  'pages that end the process which reads them do not end verify',
  { timeout: 240_000 },
  async (t) => {
    const folder = t.testdir({ sound: {} });
    const { store, add } = await openTestStore(t, join(folder, 'sound'));
    for (let n = 0; n < 60; n++) await add({ payload: JSON.stringify({ fill: 'x'.repeat(1_500) }) });
    await store.close();
    const whole = readFileSync(join(folder, 'sound', 'store.mdb'));
    let crashes = 0;
    let named = 0;
    for (const { from, to, byte } of DAMAGES) {
      for (let page = 2; page < 40; page += 3) {
        const file = join(folder, 'damaged.mdb');
        writeFileSync(file, Buffer.from(whole).fill(byte, page * 4096 + from, page * 4096 + to));
        const { code, stdout, stderr } = await run('verify', file);
        const what = `page ${String(page)}, from ${String(from)}: ${String(code)} ${stderr}`;
        if (code === 1) named++;
        if (/reading the file ended the process \(SIG/.test(stderr)) crashes++;
        t.ok(code === 0 || code === 1 || code === 2, what);
        t.match(stdout + stderr, code === 2 ? /^verify: /m : /all is sound|damaged\. Entries/, what);
      }
    }
    t.comment(`${String(crashes)} ended the process that read the file, ${String(named)} were named`);
    t.ok(crashes > 0 && named > 0);
  },
);
