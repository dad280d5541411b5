import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { build } from 'esbuild';
import type { Test } from 'tap';
import t from 'tap';
import { LOCAL_KEY } from '../../../src/access/local.ts';
import { startTestApp } from '../../support/app.ts';
import { startBrowser } from '../../support/browser.ts';
import { installClient } from '../../support/packed-client.ts';

/** What a page does with the client. What it comes to is the global promise \`done\`. */
const PROGRAM = `
import { Triggers, TriggersError } from 'triggers-api-client';

async function main([url, apiKey]) {
  const triggers = new Triggers({ baseUrl: url, apiKey });
  const { status } = await triggers.health();
  const event = { source: 'page', eventType: 'clicked', payload: { x: 1 } };
  const first = await triggers.events.send(event, { idempotencyKey: 'k' });
  const second = await triggers.events.send(event, { idempotencyKey: 'k' });
  const seen = [];
  for await (const { payload } of triggers.inbox.list()) seen.push(payload);
  await triggers.events.ack(first.eventId);
  await triggers.events.delete(first.eventId);
  const wrong = await triggers.events.get(first.eventId).catch((error) => error);
  return {
    status, replayed: [first.replayed, second.replayed], same: first.eventId === second.eventId, seen,
    error: { known: wrong instanceof TriggersError, code: wrong.code, hasId: wrong.requestId !== null },
  };
}
globalThis.done = main(location.hash.slice(1).split(',')).catch((error) => ({ failed: error.code ?? String(error) }));
`;

/** Serves a page that runs a script, at an origin of its own. */
async function servePage(t: Test, script: string): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
    response.end(`<!doctype html><link rel="icon" href="data:,"><script type="module">${script}</script>`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

void t.test('bundled, in Chromium, on a page of another origin', async (t) => {
  const folder = await installClient(t);
  writeFileSync(join(folder, 'page.js'), PROGRAM);
  const { outputFiles } = await build({
    entryPoints: [join(folder, 'page.js')],
    bundle: true,
    minify: true,
    format: 'esm',
    write: false,
  });
  const origin = await servePage(t, outputFiles[0]?.text ?? '');
  const browser = await startBrowser(t);

  const visit = async (url: string): Promise<unknown> => {
    const page = await browser.newPage();
    await page.goto(`${origin}/#${url},${LOCAL_KEY}`);
    const result: unknown = await page.evaluate('globalThis.done');
    await page.close();
    return result;
  };
  const allowed = await startTestApp(t, { CORS_ORIGINS: `https://other.example,${origin}` });
  t.strictSame(await visit(allowed.url), {
    status: 'healthy',
    replayed: [false, true],
    same: true,
    seen: [{ x: 1 }],
    error: { known: true, code: 'NOT_FOUND', hasId: true },
  });
  const silent = await startTestApp(t);
  t.strictSame(await visit(silent.url), { failed: 'NETWORK_ERROR' }, 'without CORS_ORIGINS');
});
