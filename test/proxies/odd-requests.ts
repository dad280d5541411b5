import t from 'tap';
import { build } from '../../src/http/uws.ts';
import { startTestApp } from '../support/app.ts';
import { countBySource, outcomeOf } from '../support/odd-client.ts';
import { ODD_REQUESTS } from '../support/odd-requests.ts';
import { startProxies } from '../support/proxies.ts';

/** Of the proxy or of the service: the request was served, or it is wrong. */
const FIT = /^(?:2\d\d|4\d\d|501|505)$/;
/** What a proxy says in place of a service that does not answer. */
const GATEWAY = /^(?:502|504)$/;

const BUILD = build === 'uWebSockets.js' ? 'older' : 'newer';

void t.test('odd requests through proxies', async (t) => {
  const app = await startTestApp(t);
  const proxies = await startProxies(t, app.url);
  for (const { name, url } of proxies) {
    const source = (index: number): string => `${name} ${String(index)}`;
    const outcomes = await Promise.all(ODD_REQUESTS.map((odd, index) => outcomeOf(url, odd, source(index))));
    const stored = await countBySource(async (path) => (await app.request('GET', path)).json);
    for (const [index, odd] of ODD_REQUESTS.entries()) {
      const { text, statuses } = outcomes[index] ?? { text: 'nothing', statuses: [] };
      const count = stored.get(source(index)) ?? 0;
      const unanswered = odd[BUILD] === 'silence' || odd[BUILD] === 'closed';
      const fits = (status: number): boolean =>
        FIT.test(String(status)) || (unanswered && GATEWAY.test(String(status)));
      t.ok(statuses.every(fits), `${name}: ${odd.name}: ${text}`);
      t.notMatch(text, /silence|waiting/, `${name}: ${odd.name}: an answer, or closed`);
      const created = statuses.filter((status) => status === 201).length;
      t.equal(
        count,
        created,
        `${name}: ${odd.name}: what is stored was answered with 201, and nothing else is`,
      );
    }
  }
});
