import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { LAMBDA_PAGE_PAYLOAD_BYTES } from '../../src/lambda/gateway-result.ts';
import { eventually, freshTables } from '../../bench/harness/dynamodb.ts';
import { startFaultyEndpoint } from '../../bench/harness/faulty-endpoint.ts';
import { sender, type TestApp } from './app.ts';
import type { ServiceHarness } from './harness.ts';
import { startHttpApi } from './http-api.ts';
import { startEnvironment, type Environment, type Outcome } from './lambda-runtime.ts';

const FAKE_DATE = fileURLToPath(new URL('fake-date.mjs', import.meta.url));

/** Each event of a walk is an invocation, after which a process is frozen. `LAMBDA=long` takes half a minute more. */
const WALK_EVENTS = process.env['LAMBDA'] === 'long' ? 5_000 : 600;

/** How many environments Lambda may start for a function. */
const MOST_ENVIRONMENTS = 2;

/** Packs the function once for all tests of `t`. Gives the folder. */
export function packFunction(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'triggers-lambda-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true });
  });
  execFileSync(process.execPath, ['.ci/pack-lambda.mjs', folder], { stdio: ['ignore', 2, 2] });
  return folder;
}

/** Names of tables that nobody else uses, and the service's other settings. */
export function functionSettings(endpoint: string): Record<string, string> {
  const tables = freshTables();
  return {
    DYNAMODB_ENDPOINT_URL: endpoint,
    EVENTS_TABLE: tables.events,
    CLAIMS_TABLE: tables.claims,
    API_KEYS_TABLE: tables.keys,
    AUTH_MODE: 'local',
    ALLOW_PUBLIC_TEST_KEY: 'true',
    NODE_ENV: '',
  };
}

export interface LambdaFunction {
  invoke(event: object): Promise<Outcome>;
  /** Those that run now. */
  readonly environments: readonly Environment[];
}

/** A function that Lambda scales: an event that finds no idle environment gets a new one, or waits. */
export function createFunction(
  t: Test,
  folder: string,
  env: Record<string, string>,
  preload?: readonly string[],
): LambdaFunction {
  const environments: Environment[] = [];
  const idle: Environment[] = [];
  const waiting: ((environment: Environment) => void)[] = [];
  let started = 0;
  const give = (environment: Environment): void => {
    const next = waiting.shift();
    if (next) next(environment);
    else idle.push(environment);
  };
  const take = async (): Promise<Environment> => {
    const free = idle.pop();
    if (free) return free;
    if (started === MOST_ENVIRONMENTS) return new Promise((resolve) => waiting.push(resolve));
    started++;
    const environment = await startEnvironment(t, folder, env, preload);
    environments.push(environment);
    await environment.ready;
    return environment;
  };
  return {
    environments,
    async invoke(event) {
      const environment = await take();
      const outcome = await environment.invoke(event);
      // The client has its answer before the process asks for the next event and is frozen.
      void environment.asleep().then(() => {
        give(environment);
      });
      return outcome;
    },
  };
}

/** Plugs the packed function behind an HTTP API into the HTTP suites. */
export function lambdaService(folder: string, engine: (t: Test) => Promise<string>): ServiceHarness {
  return {
    pagePayloadBytes: LAMBDA_PAGE_PAYLOAD_BYTES,
    longWalkEvents: WALK_EVENTS,
    async start(t, env = {}, time) {
      let endpoint = await engine(t);
      const preload: string[] = [];
      const clock = join(t.testdir({}), 'time');
      const tell = (): void => {
        if (time !== undefined) writeFileSync(clock, String(time.wallMs()));
      };
      if (time !== undefined) {
        const proxy = await startFaultyEndpoint(t, endpoint);
        proxy.dateMs = time.trueMs;
        endpoint = proxy.endpoint;
        preload.push(`--import=${FAKE_DATE}`);
      }
      tell();
      const settings = { ...functionSettings(endpoint), FAKE_TIME: clock, ...env };
      const lambda = createFunction(t, folder, settings, preload);
      const url = await startHttpApi(t, (event) => {
        tell();
        return lambda.invoke(event);
      });
      const app: TestApp = {
        app: { url, metricsUrl: undefined, tls: null, close: () => Promise.resolve() },
        url,
        get logged() {
          return lambda.environments.flatMap((environment) => environment.logged());
        },
        ...sender(url),
      };
      await eventually(async () => {
        const { status, text } = await app.request('GET', '/v1/ready');
        if (status !== 200) throw new Error(text);
      });
      return app;
    },
  };
}
