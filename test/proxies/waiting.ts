import t from 'tap';
import { setTimeout as sleep } from 'node:timers/promises';
import { sender, startTestApp } from '../support/app.ts';
import { startProxies } from '../support/proxies.ts';

/** Longer than the proxies wait for the next byte (5 s). */
const LONG_MS = 12_000;

void t.test('long waits pass through proxies', async (t) => {
  const app = await startTestApp(t);
  const proxies = await startProxies(t, app.url);
  const waiting = proxies.map(({ url }) => sender(url).request('GET', '/v1/inbox?wait_seconds=20'));
  await sleep(LONG_MS);
  const id = await app.send();
  for (const [index, answer] of (await Promise.all(waiting)).entries()) {
    t.equal(answer.status, 200, proxies[index]?.name ?? '');
    t.match(answer.json, { events: [{ event_id: id }] });
  }
});
