import { copyFileSync } from 'node:fs';
import { connect } from 'node:tls';
import t from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { startService, type Service } from '../support/process.ts';
import { startProxies } from '../support/proxies.ts';

const PLACE = 'test/certificates';
const HEADERS = { 'x-api-key': LOCAL_KEY, 'content-type': 'application/json' };
/** Events in each round: enough that connections to the service are used again. */
const EVENTS = 20;
/** Nearly as much as one may have: many records of TLS. */
const FILL = 'x'.repeat(400_000);

/** Whose certificate new connections get. */
function servedName({ url }: Service): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      { host: '127.0.0.1', port: Number(new URL(url).port), rejectUnauthorized: false },
      () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      },
    );
    socket.on('error', reject);
  });
}

void t.test('proxies that speak TLS to the service, before and after a renewal', async (t) => {
  const folder = t.testdir({ data: {} });
  const files = { TLS_CERT_FILE: `${folder}/tls.crt`, TLS_KEY_FILE: `${folder}/tls.key` };
  const put = (name: string): void => {
    copyFileSync(`${PLACE}/${name}.crt`, files.TLS_CERT_FILE);
    copyFileSync(`${PLACE}/${name}.key`, files.TLS_KEY_FILE);
  };
  put('old');
  const service = await startService(t, { DATA_DIR: `${folder}/data`, ...files });
  const proxies = await startProxies(t, service.url);

  const round = async (what: string): Promise<void> => {
    for (const { name, url } of proxies) {
      const sent = Array.from({ length: EVENTS }, async (_, n) => {
        const event = { source: name, event_type: what, payload: { n, fill: n === 0 ? FILL : '' } };
        const body = JSON.stringify(event);
        const { status } = await fetch(`${url}/v1/events`, { method: 'POST', headers: HEADERS, body });
        return status;
      });
      t.same(new Set(await Promise.all(sent)), new Set([201]), `${what}: ${name}`);
      const query = new URLSearchParams({ source: name, event_type: what, limit: '100' });
      const inbox = await fetch(`${url}/v1/inbox?${query.toString()}`, { headers: HEADERS });
      const { events } = (await inbox.json()) as { events: { payload: { n: number; fill: string } }[] };
      t.equal(events.length, EVENTS);
      t.equal(events.find(({ payload }) => payload.n === 0)?.payload.fill, FILL, 'a large payload is whole');
    }
  };
  await round('old');
  put('new');
  service.child.kill('SIGHUP');
  while ((await servedName(service)) !== 'new');
  await round('new');
});

void t.test('a service whose certificate cannot be verified gets no requests', async (t) => {
  const folder = t.testdir();
  const files = { TLS_CERT_FILE: `${PLACE}/expired.crt`, TLS_KEY_FILE: `${PLACE}/expired.key` };
  const service = await startService(t, { DATA_DIR: folder, ...files });
  for (const { name, url } of await startProxies(t, service.url)) {
    const { status } = await fetch(`${url}/v1/health`);
    t.match(String(status), /^50[23]$/, name);
  }
});
