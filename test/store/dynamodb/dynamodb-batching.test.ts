import t from 'tap';
import { measureBatching } from '../../../bench/studies/batching.ts';
import { startDynalite } from '../../../bench/harness/dynamodb.ts';
import { newEvent, openStore } from '../../support/dynamodb.ts';
import { startFaultyEndpoint } from '../../../bench/harness/faulty-endpoint.ts';

void t.test('64 callers in a closed loop: 15 events or more in a request', async (t) => {
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  const store = await openStore(t, proxy.endpoint);
  const { eventsPerBatch, requests } = await measureBatching(store, proxy, 64, 3_200);
  t.comment(`${eventsPerBatch.toFixed(1)} events a batch`);
  t.ok(eventsPerBatch >= 15);
  const { GetItem: news = 0, ...others } = Object.fromEntries(requests);
  t.strictSame(Object.keys(others), ['BatchWriteItem'], 'nothing else was asked');
  t.ok(news <= 20, 'but whether other instances wait, four times a second');
});

void t.test('a lone caller does not wait for others: one request per event', async (t) => {
  const proxy = await startFaultyEndpoint(t, await startDynalite(t));
  const store = await openStore(t, proxy.endpoint);
  proxy.counts.clear();
  for (let i = 0; i < 20; i++) await store.append(newEvent());
  t.strictSame([...proxy.counts], [['BatchWriteItem', 20]]);
});
