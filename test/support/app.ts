import { Writable } from 'node:stream';
import type { Test } from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import type { App } from '../../src/app.ts';
import { startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import type { TimeSource } from '../../src/events/clock.ts';
import { createLogger } from '../../src/log.ts';

export type Json = Record<string, unknown>;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; `{}` where there is none. */
  readonly json: Json;
}

export interface TestApp {
  readonly app: App;
  readonly url: string;
  /** Log lines so far, parsed. */
  readonly logged: Json[];
  /** Sends a request with the local key; a body that is not text goes as JSON. */
  request(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Sends an event and gives its id. */
  send(event?: Json): Promise<string>;
}

/** A running service on a free port; it is closed with the test. Environment variables as in the README. */
export async function startTestApp(
  t: Test,
  env: Record<string, string> = {},
  time?: TimeSource,
): Promise<TestApp> {
  const logged: Json[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      for (const line of chunk.toString().trimEnd().split('\n')) logged.push(JSON.parse(line) as Json);
      done();
    },
  });
  const config = readConfig({
    PORT: '0',
    SHUTDOWN_GRACE_SECONDS: '0',
    ...(env['STORE'] === 'dynamodb' ? {} : { DATA_DIR: env['DATA_DIR'] ?? t.testdir() }),
    ...env,
  });
  const onFatal = (error: Error): void => {
    t.fail(error.message);
  };
  const app = await startApp(config, createLogger(config.logLevel, sink), onFatal, time);
  t.teardown(() => app.close());

  return { app, url: app.url, logged, ...sender(app.url) };
}

/** Sends requests with the local key, and events. */
export function sender(url: string): Pick<TestApp, 'request' | 'send'> {
  const request: TestApp['request'] = async (method, path, body, headers = {}) => {
    const response = await fetch(url + path, {
      method,
      headers: {
        'x-api-key': LOCAL_KEY,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = text === '' ? {} : (JSON.parse(text) as Json);
    return { status: response.status, headers: response.headers, text, json };
  };
  return {
    request,
    async send(event = {}) {
      const answer = await request('POST', '/v1/events', {
        source: 'test',
        event_type: 'thing.happened',
        payload: {},
        ...event,
      });
      if (answer.status !== 201) throw new Error(`event refused: ${answer.text}`);
      return answer.json['event_id'] as string;
    },
  };
}

/** The error object of a `/v1` answer. */
export function v1Error(answer: Answer): {
  code: string;
  message: string;
  details: unknown;
  request_id: string;
} {
  return answer.json['error'] as ReturnType<typeof v1Error>;
}
