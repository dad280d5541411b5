import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { tool } from './aws-tools.ts';
import { jsonLines } from './process.ts';
import type { Json } from './app.ts';

/** What became of an invocation: the function's answer as JSON text, or the error that it reported. */
export type Outcome =
  | { readonly result: string }
  | { readonly error: { readonly errorType: string; readonly errorMessage: string } };

/** One environment of a Lambda function: a process, which gets one event at a time. */
export interface Environment {
  /** The process has asked for its first event. Rejects with the text of its initialization error. */
  readonly ready: Promise<void>;
  /** Milliseconds from the start of the process until it was ready; 0 before. */
  coldStartMs: number;
  /** Everything that was written to stdout and stderr. */
  readonly output: () => string;
  readonly logged: () => Json[];
  /** To be called only while it is asleep. */
  invoke(event: object): Promise<Outcome>;
  /** Resolves when it is ready for an event and frozen. */
  asleep(): Promise<void>;
  end(): Promise<void>;
}

/** Bytes that Lambda takes as an answer. */
export const ANSWER_LIMIT_BYTES = 6 * 1024 * 1024;

const PATH = '/2018-06-01/runtime';

/**
 * Runs a package with the client of the Runtime API that AWS's own runtime for Node has, against a stand-in for that API:
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. Between two events the process is stopped, as Lambda freezes it.
 *
 * @param folder that `npm run lambda:pack` has written.
 */
export async function startEnvironment(
  t: Test,
  folder: string,
  env: Record<string, string>,
  preload: readonly string[] = [],
): Promise<Environment> {
  const api = createRuntimeApi();
  const port = await api.listen();
  const startedAt = performance.now();
  const child = spawn(
    tool('runtimes/node-22/bin/node'),
    [...preload, tool('lambda-client-4.0.2/index.mjs')],
    { cwd: folder, env: { ...functionEnvironment(folder, port), ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  const ended = once(child, 'close');
  const end = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
    await api.close();
  };
  t.teardown(end);
  const failed = ended.then((): never => {
    throw new Error(api.initError() ?? `the process ended:\n${output}`);
  });
  failed.catch(() => undefined);
  const ready = Promise.race([api.asked(), failed]);
  ready.catch(() => undefined);
  const freeze = (): void => {
    child.kill('SIGSTOP');
  };
  const environment: Environment = {
    ready,
    coldStartMs: 0,
    output: () => output,
    logged: () => jsonLines(output),
    invoke(event) {
      child.kill('SIGCONT');
      return Promise.race([api.deliver(event), failed]);
    },
    asleep: () => api.asked().then(freeze),
    end,
  };
  void ready.then(
    () => {
      environment.coldStartMs = performance.now() - startedAt;
      freeze();
    },
    () => undefined,
  );
  return environment;
}

/** What Lambda sets: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html. */
function functionEnvironment(folder: string, port: number): Record<string, string> {
  return {
    AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${String(port)}`,
    _HANDLER: 'dist/lambda.handler',
    LAMBDA_TASK_ROOT: folder,
    AWS_REGION: 'us-east-1',
    AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs22.x',
    AWS_LAMBDA_FUNCTION_NAME: 'triggers-api',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '1769',
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/triggers-api',
    AWS_LAMBDA_LOG_STREAM_NAME: '2026/01/01/[$LATEST]0',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_SESSION_TOKEN: 'test',
    NODE_ENV: 'production',
  };
}

interface RuntimeApi {
  listen(): Promise<number>;
  close(): Promise<void>;
  /** Resolves when the process waits for an event. */
  asked(): Promise<void>;
  /** Hands an event to the process that waits for one, and resolves with what becomes of it. */
  deliver(event: object): Promise<Outcome>;
  initError(): string | undefined;
}

function createRuntimeApi(): RuntimeApi {
  let waiting: ServerResponse | undefined;
  let whenAsked: (() => void) | undefined;
  let settle: ((outcome: Outcome) => void) | undefined;
  let initError: string | undefined;
  let invocations = 0;

  const server = createServer((request, response) => {
    void serve(request, response);
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '').slice(PATH.length);
    const body = await text(request);
    if (path === '/invocation/next') {
      waiting = response;
      whenAsked?.();
    } else if (path.endsWith('/response')) {
      const tooLarge = Buffer.byteLength(body) > ANSWER_LIMIT_BYTES;
      settle?.(
        tooLarge
          ? { error: { errorType: 'Function.ResponseSizeTooLarge', errorMessage: String(body.length) } }
          : { result: body },
      );
      response.writeHead(tooLarge ? 413 : 202).end('{"status":"OK"}');
    } else if (path === '/init/error') {
      initError = body;
      response.writeHead(202).end('{"status":"OK"}');
    } else {
      settle?.({ error: JSON.parse(body) as { errorType: string; errorMessage: string } });
      response.writeHead(202).end('{"status":"OK"}');
    }
  }

  return {
    async listen() {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      return (server.address() as AddressInfo).port;
    },
    async close() {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
    asked: () =>
      new Promise((resolve) => {
        whenAsked = resolve;
        if (waiting !== undefined) resolve();
      }),
    deliver(event) {
      const response = waiting;
      waiting = undefined;
      invocations++;
      response?.writeHead(200, {
        'content-type': 'application/json',
        'lambda-runtime-aws-request-id': `invocation-${String(invocations)}`,
        'lambda-runtime-deadline-ms': String(Date.now() + 10_000),
        'lambda-runtime-invoked-function-arn': 'arn:aws:lambda:us-east-1:123456789012:function:triggers-api',
        'lambda-runtime-trace-id':
          'Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0',
      });
      response?.end(JSON.stringify(event));
      return new Promise((resolve) => (settle = resolve));
    },
    initError: () => initError,
  };
}

async function text(stream: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
