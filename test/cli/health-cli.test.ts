import { createServer as createHttp } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import t from 'tap';
import { startFaultyEndpoint } from '../../bench/harness/faulty-endpoint.ts';
import { healthCommand } from '../../src/cli/health-command.ts';
import { startTestApp } from '../support/app.ts';
import { SELF_SIGNED } from '../support/self-signed.ts';

async function health(env: Record<string, string>, ...args: string[]) {
  let stdout = '';
  let stderr = '';
  const code = await healthCommand(args, {
    env,
    stdout: (text) => (stdout += text),
    stderr: (text) => (stderr += text),
  });
  return { code, stdout, stderr };
}

async function listen(t: Test, server: Server, host = '127.0.0.1'): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return String((server.address() as AddressInfo).port);
}

const answer =
  (status: number, body = '{}'): RequestListener =>
  (request, response) => {
    response.writeHead(request.url === '/v1/ready' ? status : 404).end(body);
  };

void t.test('a service that is ready', async (t) => {
  const { url } = await startTestApp(t);
  const { port } = new URL(url);
  for (const HOST of ['', '127.0.0.1', '0.0.0.0', 'localhost']) {
    t.match(await health({ PORT: port, HOST }), { code: 0, stdout: /"status":"ready"/, stderr: '' }, HOST);
  }
});

void t.test('all of IPv6, and what the service alone reads may be wrong', async (t) => {
  const PORT = await listen(t, createHttp(answer(200)), '::1');
  t.match(await health({ PORT, HOST: '::', LOG_LEVEL: 'loud' }), { code: 0, stdout: '{}\n' });
  t.match(await health({ PORT, HOST: '::1' }), { code: 0 });
});

void t.test('with TLS_CERT_FILE it asks by TLS, whatever the name in the certificate', async (t) => {
  const PORT = await listen(t, createHttps(SELF_SIGNED, answer(200)));
  t.match(await health({ PORT, TLS_CERT_FILE: 'cert.pem' }), { code: 0, stderr: '' });
  t.match(await health({ PORT }), { code: 1 }, 'a service with TLS does not answer without');
});

void t.test('a service that is not ready', async (t) => {
  const PORT = await listen(t, createHttp(answer(503, '{"status":"unavailable"}')));
  const url = `http://127.0.0.1:${PORT}/v1/ready`;
  t.same(await health({ PORT }), {
    ...{ code: 1, stdout: '' },
    stderr: `health: ${url}: 503 {"status":"unavailable"}\n`,
  });
});

void t.test('a service whose store is away is not ready, and lives', async (t) => {
  const endpoint = await startFaultyEndpoint(t, 'http://127.0.0.1:9');
  endpoint.fault = () => ({ kind: 'error', status: 500, type: 'InternalServerError' });
  const { url } = await startTestApp(t, { STORE: 'dynamodb', DYNAMODB_ENDPOINT_URL: endpoint.endpoint });
  const { port: PORT } = new URL(url);
  t.match(await health({ PORT }), { code: 1, stderr: /\/v1\/ready: 503 / });
  t.match(await health({ PORT }, '--live'), { code: 0, stdout: /"status":"healthy"/, stderr: '' });
});

void t.test('no service, one that hangs, and one that talks without an end', async (t) => {
  const closed = createHttp();
  const free = await listen(t, closed);
  await new Promise((resolve) => closed.close(resolve));
  t.match(await health({ PORT: free }), { code: 1, stderr: /ECONNREFUSED/ });
  const silent = await listen(
    t,
    createHttp(() => undefined),
  );
  t.match(await health({ PORT: silent }), { code: 1, stderr: /no answer within 3 s/ });
  const endless = await listen(
    t,
    createHttp((_, response) => response.write('x'.repeat(100_000))),
  );
  t.match(await health({ PORT: endless }), { code: 1, stderr: /too long/ });
});

void t.test('what is not understood', async (t) => {
  t.match(await health({}, '--help'), { code: 0, stdout: /^Usage: triggers-api health / });
  t.match(await health({}, 'now'), { code: 2, stderr: /now/ });
  t.match(await health({ PORT: '0' }), { code: 1, stderr: /^health: PORT is 0: / });
  t.match(await health({ PORT: 'x' }), { code: 1, stderr: /PORT: takes / });
});
