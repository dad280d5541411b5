import { get as getHttp } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { get as getHttps } from 'node:https';
import { parseArgs } from 'node:util';
import { readHealthConfig } from '../config.ts';
import type { Environment } from '../environment.ts';
import { command, UsageError } from './command.ts';

const USAGE = `Usage: triggers-api health [--live] [--help]

Asks the service on this machine whether it is ready (GET /v1/ready), and prints its answer. It is not while its store
does not answer, and while it drains. HOST, PORT and TLS_CERT_FILE say where it listens, as they tell the service.

  --live   ask only whether it answers at all (GET /v1/health): for what ends or replaces a process that does not
  --help   print this

Exit status: 0 yes, 1 no or no answer within 3 s, 2 not understood.
`;

/** The service answers within 2 s, whatever its store does. */
const PATIENCE_MS = 3_000;

/** More than any answer of `/v1/ready` has. */
const MAX_BYTES = 16_384;

/** `triggers-api health`: what the image's HEALTHCHECK runs, and with `--live` the task of docs/deploy/aws/ecs.yaml. */
export const healthCommand = command('health', async (args, { env }) => {
  const question = parse(args);
  return question === 'help' ? USAGE : ask(env, PATHS[question]);
});

const PATHS = { ready: '/v1/ready', live: '/v1/health' };

function parse(args: readonly string[]): 'help' | keyof typeof PATHS {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { live: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    });
    if (values.help) return 'help';
    return values.live ? 'live' : 'ready';
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}

async function ask(env: Environment, path: string): Promise<string> {
  const { host, port, tls } = readHealthConfig(env);
  if (port === 0) throw new Error('PORT is 0: only the service knows which free port it has taken');
  const url = `${tls ? 'https' : 'http'}://${reachable(host)}:${String(port)}${path}`;
  const { status, body } = await fetchText(url).catch((error: unknown) => {
    throw new Error(`${url}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  });
  if (status !== 200) throw new Error(`${url}: ${String(status)} ${body}`);
  return `${body}\n`;
}

/** An address that stands for all of this machine's is not one to connect to everywhere. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

async function fetchText(url: string): Promise<{ status: number; body: string }> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    // The certificate names the service as its clients know it, which is not the address of this connection.
    const request = url.startsWith('https:')
      ? getHttps(url, { signal, rejectUnauthorized: false }, resolve)
      : getHttp(url, { signal }, resolve);
    request.on('error', (error) => {
      reject(signal.aborted ? new Error(`no answer within ${String(PATIENCE_MS / 1000)} s`) : error);
    });
  });
  let body = '';
  response.setEncoding('utf8');
  for await (const chunk of response) {
    body += chunk as string;
    if (body.length > MAX_BYTES) throw new Error('the answer is too long for one of this service');
  }
  return { status: response.statusCode ?? 0, body };
}
