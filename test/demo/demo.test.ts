import t from 'tap';
import { runDemo } from './demo.ts';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { startTestApp } from '../support/app.ts';

void t.test('every real webhook goes in, comes back byte for byte and is acknowledged', async (t) => {
  const { url } = await startTestApp(t);
  const progress: string[] = [];
  const result = await runDemo({ url, key: LOCAL_KEY, progress: (line) => progress.push(line) });
  t.ok(result.sent > 700, `${String(result.sent)} payloads`);
  t.equal(result.identical, result.sent);
  t.equal(result.acknowledged, result.sent);
  t.equal(result.pages, Math.ceil(result.sent / 100));
  t.equal(result.left, 0);
  t.equal(progress.at(-1), `acknowledged ${String(result.sent)} of ${String(result.sent)}`);
});

void t.test('an inbox that is not empty is left alone', async (t) => {
  const app = await startTestApp(t);
  await app.send();
  await t.rejects(runDemo({ url: app.url, key: LOCAL_KEY, progress: () => undefined }), /inbox of this key/);
});
