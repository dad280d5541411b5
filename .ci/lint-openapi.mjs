// `npm run lint:openapi`: both linters look at docs/openapi.json, which a test compares with what is served.
import { spawnSync } from 'node:child_process';

/** Neither looks for updates nor reports its use. */
const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };

const commands = [
  ['redocly', 'lint', '--extends=recommended', '--max-problems=1000', 'docs/openapi.json'],
  ['spectral', 'lint', '--ruleset=.ci/spectral.yaml', '--fail-severity=warn', 'docs/openapi.json'],
];

for (const [command = '', ...args] of commands) {
  const { status } = spawnSync(`node_modules/.bin/${command}`, args, { env, stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
