import t from 'tap';
import { LOCAL_KEY } from '../../../src/access/local.ts';
import { build } from '../../../src/http/uws.ts';
import { startTestApp } from '../../support/app.ts';
import { countBySource, outcomeOf } from '../../support/odd-client.ts';
import { ODD_REQUESTS } from '../../support/odd-requests.ts';
import { sendRaw } from '../../support/raw.ts';

const BUILD = build === 'uWebSockets.js' ? 'older' : 'newer';

void t.test(
  `odd requests get what the table says (${BUILD} build), and nothing is stored that is refused`,
  async (t) => {
    const app = await startTestApp(t);
    const outcomes = await Promise.all(
      ODD_REQUESTS.map((odd, index) => outcomeOf(app.url, odd, `odd-${String(index)}`)),
    );
    const stored = await countBySource(async (path) => (await app.request('GET', path)).json);
    for (const [index, odd] of ODD_REQUESTS.entries()) {
      t.equal(outcomes[index]?.text, odd[BUILD], odd.name);
      t.equal(stored.get(`odd-${String(index)}`) ?? 0, odd.stored, `stored of: ${odd.name}`);
    }
    t.equal(
      [...stored.values()].reduce((sum, count) => sum + count, 0),
      ODD_REQUESTS.filter(({ stored }) => stored === 1).length,
    );
  },
);

void t.test('a trailer in a packet of its own gets no reply of its own, whenever it comes', async (t) => {
  const app = await startTestApp(t);
  const rounds = await Promise.all(
    Array.from({ length: 40 }, async (_, round) => {
      const source = `trailer-${String(round)}`;
      const body = `{"source":"${source}","event_type":"t","payload":{}}`;
      const head = `POST /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: ${LOCAL_KEY}\r\nTransfer-Encoding: chunked\r\n\r\n`;
      const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n`;
      const { text, closed } = await sendRaw(
        app.url,
        [head + chunks, 'XXa: /v1/health HTTP/1.1\r\nHost: x\r\n\r\n'],
        () => false,
      );
      return { source, text, closed };
    }),
  );
  const stored = await countBySource(async (path) => (await app.request('GET', path)).json);
  for (const { source, text, closed } of rounds) {
    t.ok(closed);
    const statuses = [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
    t.match(statuses.join(' '), /^(201)?$/);
    if (statuses.length > 0) t.equal(stored.get(source), 1);
  }
});
