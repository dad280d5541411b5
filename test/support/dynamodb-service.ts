import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { startTestApp } from './app.ts';
import { eventually, freshTables } from './dynamodb.ts';
import type { ServiceHarness } from './harness.ts';

/** Plugs the service with `STORE=dynamodb` into the HTTP suites; `endpoint` gives the engine of a test. */
export function dynamoService(endpoint: (t: Test) => Promise<string>): Required<ServiceHarness> {
  return {
    async start(t, env = {}, wallMs) {
      const tables = freshTables();
      const app = await startTestApp(
        t,
        {
          STORE: 'dynamodb',
          DYNAMODB_ENDPOINT_URL: await endpoint(t),
          EVENTS_TABLE: tables.events,
          API_KEYS_TABLE: tables.keys,
          CLAIMS_TABLE: tables.claims,
          ...env,
        },
        wallMs,
      );
      await eventually(async () => {
        const { status, text } = await app.request('GET', '/v1/ready');
        if (status !== 200) throw new Error(text);
      });
      return app;
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
