import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import type { TestApp } from './app.ts';
import { startTestApp } from './app.ts';
import { eventually, freshTables } from '../../bench/harness/dynamodb.ts';
import { startFaultyEndpoint } from '../../bench/harness/faulty-endpoint.ts';
import type { ServiceHarness } from './harness.ts';

interface DynamoService extends Required<Omit<ServiceHarness, 'pagePayloadBytes' | 'longWalkEvents'>> {
  /** Two instances on the same tables. */
  startTwo(t: Test): Promise<readonly [TestApp, TestApp]>;
}

/** Plugs the service with `STORE=dynamodb` into the HTTP suites; `endpoint` gives the engine of a test. */
export function dynamoService(endpoint: (t: Test) => Promise<string>): DynamoService {
  const environment = async (t: Test): Promise<Record<string, string>> => {
    const tables = freshTables();
    return {
      STORE: 'dynamodb',
      DYNAMODB_ENDPOINT_URL: await endpoint(t),
      EVENTS_TABLE: tables.events,
      CLAIMS_TABLE: tables.claims,
      API_KEYS_TABLE: tables.keys,
    };
  };
  return {
    async start(t, env = {}, time) {
      const environmentOfTest = await environment(t);
      if (time !== undefined) {
        // Time that passes passes for the engine, too; its clock is never set.
        const proxy = await startFaultyEndpoint(t, String(environmentOfTest['DYNAMODB_ENDPOINT_URL']));
        proxy.dateMs = time.trueMs;
        environmentOfTest['DYNAMODB_ENDPOINT_URL'] = proxy.endpoint;
      }
      const app = await startTestApp(t, { ...environmentOfTest, ...env }, time);
      await untilReady(app);
      return app;
    },

    async startTwo(t) {
      const env = await environment(t);
      const apps = [await startTestApp(t, env), await startTestApp(t, env)] as const;
      for (const app of apps) await untilReady(app);
      return apps;
    },

    async shown(app, events) {
      for (;;) {
        let found = 0;
        for (let cursor: string | null = ''; cursor !== null;) {
          const { json } = await app.request('GET', `/inbox?limit=200${cursor && `&cursor=${cursor}`}`);
          const page = json as unknown as { events: unknown[]; pagination: { next_cursor: string | null } };
          found += page.events.length;
          cursor = page.pagination.next_cursor;
        }
        if (found === events) return;
        await sleep(50);
      }
    },
  };
}

function untilReady(app: TestApp): Promise<void> {
  return eventually(async () => {
    const { status, text } = await app.request('GET', '/v1/ready');
    if (status !== 200) throw new Error(text);
  });
}
