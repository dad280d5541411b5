import { spawn } from 'node:child_process';
import { appendFileSync, cpSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import t from 'tap';
import { jsonLines } from '../support/process.ts';
import { answers } from '../support/stdout.ts';

// A copy of what `npm start` needs: what is built here is no other test's. One for all, because a build takes seconds of CPU
// and one that follows little.
const folder = t.testdir({ data: {} });
for (const name of ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'src']) {
  cpSync(name, join(folder, name), { recursive: true });
}
symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));

/** A real `npm start`, in a process group of its own. */
function npmStart(t: Test) {
  const child = spawn('npm', ['start'], {
    cwd: folder,
    // Without tap's coverage of children: these build, and end, by themselves.
    env: { ...process.env, NODE_OPTIONS: '', NODE_ENV: '', PORT: '0', SHUTDOWN_GRACE_SECONDS: '2' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.on('close', (code, signal) => {
      resolve(signal ?? code ?? -1);
    });
  });
  const signalGroup = (signal: NodeJS.Signals): void => {
    process.kill(-(child.pid ?? 0), signal);
  };
  t.teardown(() => {
    try {
      signalGroup('SIGKILL');
    } catch {
      // All of it has ended.
    }
  });
  return { child, output: () => output, ended, signalGroup };
}

const signals: Record<string, (npm: ReturnType<typeof npmStart>) => void> = {
  'SIGTERM to npm alone': ({ child }) => child.kill('SIGTERM'),
  'Ctrl-C in a terminal, which npm passes on once more': ({ signalGroup }) => {
    signalGroup('SIGINT');
  },
};

for (const [name, signal] of Object.entries(signals)) {
  void t.test(`npm start: ${name} drains the service, and npm ends with it`, async (t) => {
    const npm = npmStart(t);
    const url = await new Promise<string>((resolve, reject) => {
      npm.child.stdout.on('data', () => {
        const line = jsonLines(npm.output()).find(({ msg }) => msg === 'listening');
        if (line) resolve(String(line['url']));
      });
      void npm.ended.then(() => {
        reject(new Error(npm.output()));
      });
    });
    t.ok(await answers(url));
    signal(npm);
    t.equal(await npm.ended, 0);
    t.match(
      jsonLines(npm.output()).map(({ msg }) => msg),
      ['listening', 'request', 'draining', 'stopped'],
    );
    while (await answers(url)) await sleep(50);
  });
}

void t.test('npm start: a build that fails is said, and nothing is started', async (t) => {
  appendFileSync(join(folder, 'src', 'main.ts'), 'const wrong: number = "text";\n');
  const npm = npmStart(t);
  t.not(await npm.ended, 0);
  t.match(npm.output(), /src\/main\.ts\(\d+,\d+\): error TS/);
  t.notMatch(npm.output(), 'listening');
});
