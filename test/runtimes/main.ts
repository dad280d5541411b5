/**
 * `npm run test:runtimes [-- <files>]`: tests under the other version of Node on this machine's C library, and the newest one on
 * the newest; so on both builds of uWebSockets.js, of which test/http/uws.test.ts holds which is in use where.
 * `npm run test:runtimes:long` takes all versions that the service supports. `.ci/install-tools` brings them.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/** Node 20 and 22 on this machine's C library, less the one that `npm test` runs on. */
const PLAIN = ['node-20', 'node-22'].filter(
  (name) => name !== `node-${process.versions.node.split('.')[0] ?? ''}`,
);
const RUNTIMES = [
  ...PLAIN,
  ...(process.env['RUNTIMES'] === 'all' ? ['debian-13-node-20', 'debian-13-node-22'] : []),
  'debian-13-node-24',
];
const DEFAULT_FILES = ['test/http/*.test.ts', 'test/http/long/*.ts', 'test/main.test.ts'];

const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
const given = process.argv.slice(2);
const files = given.length > 0 ? given : DEFAULT_FILES;

for (const runtime of RUNTIMES) {
  const bin = join(cache, 'triggers-api', 'runtimes', runtime, 'bin');
  if (!existsSync(join(bin, 'node'))) throw new Error(`${bin} has no node: run .ci/install-tools`);
  console.log(`\n# ${runtime}`);
  const tests = spawn('sh', ['-c', `node_modules/.bin/tap --disable-coverage ${files.join(' ')}`], {
    stdio: 'inherit',
    // Found first, for the interpreter line of tap and for whatever a test starts.
    env: { ...process.env, PATH: [bin, process.env['PATH']].join(delimiter), RUNTIME: runtime },
  });
  const [code] = (await once(tests, 'exit')) as [number | null];
  if (code !== 0) process.exitCode = 1;
}
