import { readFileSync } from 'node:fs';
import t from 'tap';
import { startDynalite } from '../../bench/harness/dynamodb.ts';
import { startTestApp } from '../support/app.ts';
import { dynamoService } from '../support/dynamodb-service.ts';
import { scrapeText } from '../support/scrape.ts';
import { dashboardQueries, metricNames, type Dashboard } from './queries.ts';

const OPERATIONS = readFileSync('docs/operations.md', 'utf8');
const RULES = readFileSync('docs/deploy/prometheus/alerts.yaml', 'utf8');
const DASHBOARD = readFileSync('docs/deploy/grafana/dashboard.json', 'utf8');

/** Families of a scrape: name and type. */
function families(text: string): Map<string, string> {
  return new Map(
    [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]),
  );
}

void t.test('the documentation lists what is served, on both stores', async (t) => {
  const services = [
    await startTestApp(t, { METRICS_PORT: '0' }),
    await dynamoService(startDynalite).start(t, { METRICS_PORT: '0' }),
  ];
  const served = new Map<string, string>();
  for (const service of services) {
    await service.send();
    for (const [name, type] of families(await scrapeText(service.app.metricsUrl))) served.set(name, type);
  }
  const own = new Map([...served].filter(([name]) => name.startsWith('triggers_')));
  const rows = [...OPERATIONS.matchAll(/^\| `(triggers_\w+)` +\| (\w+)/gm)];
  t.same(new Map(rows.map(([, name = '', type = '']) => [name, type])), own);

  // A histogram is asked for by its parts.
  const names = new Set([...served.keys()].flatMap((name) => [name, ...PARTS.map((part) => name + part)]));
  const asked = [RULES, ...dashboardQueries(DASHBOARD).map(({ expression }) => expression)];
  for (const name of metricNames(asked.join('\n'))) t.ok(names.has(name), `${name} is served`);
});

const PARTS = ['_bucket', '_sum', '_count'];

void t.test('each alert has an entry of its own in the run-book, and each entry an alert', (t) => {
  const alerts = [...RULES.matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
  const runbooks = [...RULES.matchAll(/runbook: docs\/operations\.md#(\w+)/g)].map(([, anchor]) => anchor);
  t.same(
    runbooks,
    alerts.map((name) => name?.toLowerCase()),
  );
  const entries = [...OPERATIONS.matchAll(/^### (Triggers\w+)$/gm)].map(([, name]) => name);
  t.same(entries, alerts);
  t.end();
});

void t.test('the dashboard has what Grafana needs to import it', (t) => {
  const { schemaVersion, templating, panels } = JSON.parse(DASHBOARD) as Dashboard;
  t.ok(schemaVersion >= 36);
  t.same(
    templating.list.map(({ name, type }) => [name, type]),
    [
      ['datasource', 'datasource'],
      ['job', 'query'],
      ['instance', 'query'],
    ],
  );
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length, 'ids are unique');
  for (const { title, type, datasource, gridPos, targets = [] } of panels) {
    t.ok(gridPos.x + gridPos.w <= 24, title);
    if (type === 'row') continue;
    t.equal(datasource?.uid, '${datasource}', title);
    t.ok(targets.length > 0, title);
  }
  t.end();
});
