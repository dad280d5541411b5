/**
 * `npm run test:fuzz [-- <options of schemathesis run>]`: schemathesis against a real process on an embedded store, as
 * test/fuzz/schemathesis.toml says. `.ci/install-tools` installs it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

/** A run takes 40 s on a machine that does nothing else. */
const DEADLINE_MS = 150_000;

const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
const schemathesis = join(cache, 'triggers-api', 'fuzz', 'bin', 'schemathesis');
if (!existsSync(schemathesis)) throw new Error(`there is no ${schemathesis}: run .ci/install-tools`);

const folder = mkdtempSync(join(tmpdir(), 'triggers-fuzz-'));
const service = spawn(process.execPath, ['--import=./.ci/typescript.mjs', 'src/main.ts'], {
  env: {
    ...process.env,
    NODE_ENV: '',
    HOST: '127.0.0.1',
    PORT: '0',
    DATA_DIR: folder,
    SHUTDOWN_GRACE_SECONDS: '1',
  },
  stdio: ['ignore', 'pipe', 'inherit'],
});
const ended = once(service, 'exit');
try {
  const url = await listening();
  console.log(`schemathesis against ${url}`);
  const config = ['--config-file', 'test/fuzz/schemathesis.toml'];
  const fuzz = spawn(schemathesis, [...config, 'run', ...process.argv.slice(2), `${url}/openapi.json`], {
    stdio: 'inherit',
    timeout: DEADLINE_MS,
  });
  const [code] = (await once(fuzz, 'exit')) as [number | null];
  process.exitCode = code ?? 1;
  if (service.exitCode !== null) throw new Error('the service did not survive it');
} finally {
  service.kill('SIGTERM');
  await ended;
  rmSync(folder, { recursive: true });
}

/** The URL of the service, once its log says that it listens. */
function listening(): Promise<string> {
  let log = '';
  return new Promise((resolve, reject) => {
    service.stdout.on('data', (data: Buffer) => {
      // The rest of the log is only read, so that the service need not wait.
      if (log.includes('"listening"')) return;
      log += data.toString();
      const url = /"url":"([^"]*)"/.exec(log)?.[1];
      if (url !== undefined) resolve(url);
    });
    void ended.then(() => {
      reject(new Error(`the service ended before it listened:\n${log}`));
    });
  });
}
