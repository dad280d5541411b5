import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import t from 'tap';
import { ListenError } from '../../src/http/listen.ts';
import { startTestApp } from '../support/app.ts';
import { sendRaw } from '../support/raw.ts';
import { scrape, scrapeText } from '../support/scrape.ts';

const METRICS = { METRICS_PORT: '0' };
const ROUTE = 'route="/v1/events",method="POST"';

void t.test('requests and events are counted, by route, method, status and contract', async (t) => {
  const service = await startTestApp(t, METRICS);
  const before = await scrape(service);
  t.equal(before.get('triggers_events_ingested_total{contract="v1"}'), 0, 'there before the first event');
  const id = await service.send();
  await service.send({ metadata: { idempotency_key: 'k' } });
  await service.send({ metadata: { idempotency_key: 'k' } });
  await service.request('POST', '/v1/events', { source: 'test' });
  const equal = { event_type: 'thing', payload: {} };
  await service.request('POST', '/events', equal);
  await service.request('POST', '/events', equal);
  await service.request('POST', `/v1/events/${id}/ack`);
  await service.request('POST', `/v1/events/${id}/ack`);
  await service.request('DELETE', `/v1/events/${id}`);
  await service.request('DELETE', `/v1/events/${id}`);
  await service.request('GET', '/nowhere');
  const found = await scrape(service);
  const expected: [string, number][] = [
    [`triggers_http_requests_total{${ROUTE},status="201"}`, 3],
    [`triggers_http_requests_total{${ROUTE},status="400"}`, 1],
    ['triggers_http_requests_total{route="unknown",method="GET",status="404"}', 1],
    ['triggers_http_requests_total{route="/v1/events/{event_id}/ack",method="POST",status="409"}', 1],
    [`triggers_http_request_duration_seconds_count{${ROUTE}}`, 4],
    [`triggers_http_request_duration_seconds_bucket{${ROUTE},le="+Inf"}`, 4],
    ['triggers_http_requests_in_flight', 0],
    ['triggers_events_ingested_total{contract="v1"}', 2],
    ['triggers_events_ingested_total{contract="unversioned"}', 1],
    ['triggers_events_deduplicated_total{contract="v1"}', 1],
    ['triggers_events_deduplicated_total{contract="unversioned"}', 1],
    ['triggers_events_acknowledged_total{contract="v1"}', 1],
    ['triggers_events_deleted_total{contract="v1"}', 1],
    ['triggers_group_commit_queue_writes', 0],
    ['triggers_group_commit_queue_limit_writes', 20_000],
    ['triggers_disk_takes_events', 1],
    ['triggers_ready', 1],
  ];
  for (const [series, value] of expected) t.equal(found.get(series), value, series);
  t.ok((found.get('triggers_group_commit_writes_sum') ?? 0) >= 8);
  t.ok((found.get('triggers_lmdb_file_bytes') ?? 0) > 0);
  t.ok((found.get('triggers_disk_available_bytes') ?? 0) > 0);
});

void t.test('inboxes: depth and age, also of tenants whom nobody has served since the start', async (t) => {
  const folder = t.testdir();
  const first = await startTestApp(t, { DATA_DIR: folder });
  await first.send();
  await first.send();
  await first.app.close();
  const found = await scrape(await startTestApp(t, { DATA_DIR: folder, ...METRICS }));
  t.equal(found.get('triggers_inbox_events'), 2);
  t.equal(found.get('triggers_inbox_tenants'), 1);
  t.equal(found.get('triggers_inbox_tenant_events{tenant="default"}'), 2);
  t.ok((found.get('triggers_inbox_oldest_event_age_seconds') ?? 0) > 0);
});

void t.test('a client cannot make up labels, whatever method and path it sends', async (t) => {
  const service = await startTestApp(t, METRICS);
  for (let n = 0; n < 20; n++) {
    const name = `X${'ABCDEFGHIJKLMNOPQRST'.charAt(n)}`;
    await sendRaw(service.url, [`${name} /v1/inbox HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`]);
    await service.request('GET', `/made/up/${String(n)}`);
    await service.request('GET', `/v1/made/up/${String(n)}`);
  }
  const found = [...(await scrape(service)).keys()].filter((key) =>
    key.startsWith('triggers_http_requests_total'),
  );
  t.same(found.toSorted(), [
    'triggers_http_requests_total{route="/v1/inbox",method="other",status="405"}',
    'triggers_http_requests_total{route="unknown",method="GET",status="404"}',
  ]);
});

void t.test('no series is served twice, whichever contract answers', async (t) => {
  const service = await startTestApp(t, METRICS);
  const unknown = ['/made/up', '/v1/made/up', '/openapi.json/made/up'];
  for (const path of unknown) await service.request('GET', path);
  const series = (await scrapeText(service.app.metricsUrl))
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.slice(0, line.lastIndexOf(' ')));
  t.same(
    series.filter((name, index) => series.indexOf(name) !== index),
    [],
  );
  const found = await scrape(service);
  t.equal(
    found.get('triggers_http_requests_total{route="unknown",method="GET",status="404"}'),
    unknown.length,
  );
});

void t.test('only GET /metrics is served there, and the API has no such path', async (t) => {
  const service = await startTestApp(t, METRICS);
  const url = String(service.app.metricsUrl);
  const answer = async (method: string, path: string) => (await fetch(new URL(path, url), { method })).status;
  t.equal(await answer('GET', '/metrics?x=1'), 200);
  t.equal(await answer('HEAD', '/metrics'), 200);
  t.equal(await answer('POST', '/metrics'), 405);
  t.equal(await answer('GET', '/v1/inbox'), 404);
  t.equal((await fetch(url)).headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  t.equal((await service.request('GET', '/metrics')).status, 404);
});

void t.test('without METRICS_PORT nothing is served', async (t) => {
  t.equal((await startTestApp(t)).app.metricsUrl, undefined);
});

void t.test('while the service drains it is scraped, as not ready, and afterwards it is not', async (t) => {
  const service = await startTestApp(t, { ...METRICS, SHUTDOWN_GRACE_SECONDS: '2' });
  await service.send();
  const closed = service.app.close();
  const found = await scrape(service);
  t.equal(found.get('triggers_ready'), 0);
  t.equal(found.get('triggers_events_ingested_total{contract="v1"}'), 1);
  await closed;
  await t.rejects(scrapeText(service.app.metricsUrl), /fetch failed/);
});

void t.test('a scraper that sends half a request does not hold the process', async (t) => {
  const { app } = await startTestApp(t, METRICS);
  const { hostname, port } = new URL(String(app.metricsUrl));
  const half = connect(Number(port), hostname);
  t.teardown(() => half.destroy());
  half.write('GET /metrics HTTP/1.1\r\nhost:');
  await once(half, 'connect');
  // The server reads the half before what comes later.
  await scrapeText(app.metricsUrl);
  const gone = once(half, 'close');
  await app.close();
  await gone;
});

void t.test('a METRICS_PORT that is taken stops the start, and the message names it', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.teardown(() => other.close());
  const port = String((other.address() as AddressInfo).port);
  const folder = t.testdir();
  await t.rejects(
    startTestApp(t, { METRICS_PORT: port, DATA_DIR: folder }),
    new ListenError(
      `cannot listen on 127.0.0.1:${port}: another process listens there; stop it or set METRICS_PORT to another one`,
    ),
  );
  await startTestApp(t, { METRICS_PORT: '0', DATA_DIR: folder });
});
