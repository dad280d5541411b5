/** `npm run openapi`: writes the document that the service serves to docs/openapi.json, for reviewers and generators. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { createLogger } from '../../src/log.ts';

const folder = mkdtempSync(join(tmpdir(), 'triggers-openapi-'));
const config = readConfig({ PORT: '0', DATA_DIR: folder, LOG_LEVEL: 'silent', SHUTDOWN_GRACE_SECONDS: '0' });
const app = await startApp(config, createLogger('silent', process.stderr), (error) => {
  throw error;
});
try {
  const served = await fetch(`${app.url}/openapi.json`);
  writeFileSync('docs/openapi.json', `${JSON.stringify(await served.json(), null, 2)}\n`);
} finally {
  await app.close();
  rmSync(folder, { recursive: true });
}
