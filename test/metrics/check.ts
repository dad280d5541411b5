/** What needs Debian's Prometheus: the served text, the alert rules and the queries of the dashboard, on both stores. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { eventually, startDynalite } from '../../bench/harness/dynamodb.ts';
import type { TestApp } from '../support/app.ts';
import { startTestApp } from '../support/app.ts';
import { dynamoService } from '../support/dynamodb-service.ts';
import { promtool, RULES, startPrometheus, type Prometheus } from '../support/prometheus.ts';
import { scrapeText } from '../support/scrape.ts';
import { dashboardQueries, metricNames } from './queries.ts';

const ALERTS = 'test/metrics/alerts.yaml';

void t.test('the alert rules are right, and each is tested to fire and not to fire', async (t) => {
  await promtool(['check', 'rules', RULES]);
  const tests = (await readFile(ALERTS, 'utf8')).replace('[RULES]', `['${RULES}']`);
  const file = join(t.testdir(), 'alerts.yaml');
  await writeFile(file, tests);
  t.match(await promtool(['test', 'rules', file]), /SUCCESS/);
  const alerts = [...(await readFile(RULES, 'utf8')).matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
  const tested = (which: string) =>
    [...tests.matchAll(new RegExp(`- name: (\\w+), ${which}`, 'g'))].map(([, name]) => name);
  t.ok(alerts.length >= 10);
  t.same(tested('ok'), alerts);
  t.same(tested('firing'), alerts);
});

void t.test('the tests of the rules see it when a rule is made wrong', async (t) => {
  const rules = (await readFile(RULES, 'utf8')).replace('triggers_ready == 0', 'triggers_ready == 1');
  const folder = t.testdir({ 'rules.yaml': rules });
  const tests = (await readFile(ALERTS, 'utf8')).replace('[RULES]', `['${join(folder, 'rules.yaml')}']`);
  await writeFile(join(folder, 'tests.yaml'), tests);
  await t.rejects(
    promtool(['test', 'rules', join(folder, 'tests.yaml')]),
    /FAILED:\s+name: TriggersNotReady, ok/,
  );
});

void t.test('a Prometheus on both stores, with every query of dashboard and rules', async (t) => {
  const services = [
    await startTestApp(t, { METRICS_PORT: '0' }),
    await dynamoService(startDynalite).start(t, { METRICS_PORT: '0' }),
  ];
  // Inboxes are read at the first scrape, and then not for 30 s.
  for (const service of services) await service.send();
  const urls = services.map(({ app }) => String(app.metricsUrl));
  for (const url of urls) t.equal(await promtool(['check', 'metrics'], await scrapeText(url)), '', url);
  const prometheus = await startPrometheus(t, urls);
  const stop = keepBusy(services);
  t.teardown(stop);
  const queries = dashboardQueries(await readFile('docs/deploy/grafana/dashboard.json', 'utf8'));
  t.ok(queries.length > 30, `${String(queries.length)} queries`);
  for (const { title, expression } of queries) {
    await t.test(title, async (t) => {
      // A rate needs two scrapes, and the second one sees what has come meanwhile.
      await eventually(async () => {
        const found = await prometheus.query(filledIn(expression));
        // A quantile of a route without requests is no number, and a gap in the graph.
        const numbers = found.filter(({ value }) => value[1] !== 'NaN');
        if (numbers.length === 0) throw new Error(`nothing for ${filledIn(expression)}`);
      });
      t.pass(expression);
    });
  }
  await everyMetricIsThere(t, prometheus);
  await rulesAreEvaluated(t, prometheus);
});

/** Every metric that a rule names is one that Prometheus has scraped. */
async function everyMetricIsThere(t: Test, prometheus: Prometheus): Promise<void> {
  const known = new Set((await prometheus.api('label/__name__/values')) as readonly string[]);
  for (const name of metricNames(await readFile(RULES, 'utf8'))) t.ok(known.has(name), name);
}

async function rulesAreEvaluated(t: Test, prometheus: Prometheus): Promise<void> {
  interface Rule {
    readonly name: string;
    readonly health: string;
    readonly lastError?: string;
    readonly state: string;
  }
  const rules = await eventually(async () => {
    const { groups } = (await prometheus.api('rules')) as { groups: { rules: Rule[] }[] };
    const found = groups.flatMap((group) => group.rules);
    if (found.some(({ health }) => health === 'unknown')) throw new Error('not evaluated yet');
    return found;
  });
  for (const { name, health, lastError, state } of rules) {
    t.equal(health, 'ok', `${name}: ${String(lastError)}`);
    t.not(state, 'firing', name);
  }
}

/** As Grafana fills in the variables of a query. */
function filledIn(expression: string): string {
  return expression
    .replaceAll('$__rate_interval', '10s')
    .replaceAll('$job', 'triggers-api')
    .replaceAll('$instance', '.*');
}

/** Sends, reads, acknowledges and deletes on each service until it is stopped. */
function keepBusy(services: readonly TestApp[]): () => Promise<void> {
  let stopped = false;
  const rounds = services.map(async (service) => {
    for (let round = 0; !stopped; round++) {
      const id = await service.send();
      await service.send({ metadata: { idempotency_key: String(round % 3) } });
      await service.request('GET', '/v1/inbox?limit=5');
      await service.request('GET', `/v1/events/${id}`);
      await service.request('POST', `/v1/events/${id}/ack`);
      if (round % 5 === 0) await service.request('DELETE', `/v1/events/${await service.send()}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
  return async () => {
    stopped = true;
    await Promise.all(rounds);
  };
}
