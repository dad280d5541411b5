import t from 'tap';
import { startDynalite } from '../../bench/harness/dynamodb.ts';
import { startFaultyEndpoint } from '../../bench/harness/faulty-endpoint.ts';
import { dynamoService } from '../support/dynamodb-service.ts';
import { scrape, type Scrape } from '../support/scrape.ts';

void t.test('requests, units, throttles and inboxes of DynamoDB', async (t) => {
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  const asked: string[] = [];
  let throttled = 1;
  proxy.fault = (operation, body) => {
    if (body.includes('"ReturnConsumedCapacity":"TOTAL"')) asked.push(operation);
    if (operation !== 'BatchWriteItem' || throttled-- <= 0) return undefined;
    return { kind: 'error', status: 400, type: 'ProvisionedThroughputExceededException' };
  };
  const service = await dynamoService(() => Promise.resolve(proxy.endpoint)).start(t, { METRICS_PORT: '0' });
  const id = await service.send();
  await service.send({ metadata: { idempotency_key: 'k' } });
  await service.send({ metadata: { idempotency_key: 'k' } });
  await service.request('GET', `/v1/events/${id}`);
  await service.request('GET', '/v1/inbox');
  const found = await scrape(service);
  const requests = (operation: string, outcome: string) =>
    sum(found, 'triggers_dynamodb_requests_total', [`operation="${operation}"`, `outcome="${outcome}"`]);
  const units = (operation: string) =>
    sum(found, 'triggers_dynamodb_consumed_units_total', [`operation="${operation}"`]);
  t.equal(requests('BatchWriteItem', 'throttled'), 1);
  t.equal(requests('BatchWriteItem', 'ok'), 1);
  t.equal(requests('PutItem', 'condition_failed'), 1);
  for (const operation of ['BatchWriteItem', 'PutItem', 'GetItem', 'Query', 'BatchGetItem']) {
    t.ok(units(operation) > 0, `${operation}: ${String(units(operation))} units`);
    t.ok(asked.includes(operation), operation);
  }
  t.equal(sum(found, 'triggers_dynamodb_request_duration_seconds_count', ['operation="BatchWriteItem"']), 2);
  t.equal(found.get('triggers_inbox_events'), 2);
  t.equal(found.get('triggers_inbox_tenant_events{tenant="default"}'), 2);
  t.ok((found.get('triggers_inbox_oldest_event_age_seconds') ?? 0) > 0);
  t.equal(found.get('triggers_group_commit_queue_limit_writes'), 8_192);
});

void t.test('without METRICS_PORT no units are asked for', async (t) => {
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  const bodies: string[] = [];
  proxy.fault = (operation, body) => {
    bodies.push(`${operation} ${body}`);
    return undefined;
  };
  const service = await dynamoService(() => Promise.resolve(proxy.endpoint)).start(t);
  await service.send();
  await service.request('GET', '/v1/inbox');
  t.ok(bodies.some((body) => body.startsWith('BatchWriteItem')));
  t.same(
    bodies.filter((body) => body.includes('ReturnConsumedCapacity')),
    [],
  );
});

void t.test('while the store is down it is not ready, and its inboxes have no numbers', async (t) => {
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  const service = await dynamoService(() => Promise.resolve(proxy.endpoint)).start(t, { METRICS_PORT: '0' });
  await service.send();
  await proxy.goDown();
  // Its own requests are counted at the next one.
  await scrape(service);
  const found = await scrape(service);
  t.equal(found.get('triggers_ready'), 0);
  t.notOk(found.has('triggers_inbox_events'), 'not 0, which would look well');
  t.ok(sum(found, 'triggers_dynamodb_requests_total', ['outcome="unsent"']) > 0);
});

/** Of the series that have these labels. */
function sum(found: Scrape, name: string, labels: readonly string[]): number {
  return [...found]
    .filter(([key]) => key.startsWith(`${name}{`) && labels.every((label) => key.includes(label)))
    .reduce((total, [, value]) => total + value, 0);
}
