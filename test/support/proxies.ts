import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Test } from 'tap';
import { freePort } from '../../src/cli/dynamodb-local.ts';

export interface Proxy {
  readonly name: string;
  readonly url: string;
}

/** What the certificates of `test/certificates` come from. */
const ROOT = resolve('test/certificates/root.crt');

/**
 * Starts nginx, which reads a body as a whole or passes it on as it comes, and HAProxy before the service, with few connections to
 * it that all clients share. To a service with `https` they speak TLS, and verify it by `ROOT`. Debian's, as `.ci/install-tools` brings them. They are ended with the test.
 */
export async function startProxies(t: Test, service: string): Promise<Proxy[]> {
  const folder = await mkdtemp(join(tmpdir(), 'proxies-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const [whole, passing, haproxy] = [await freePort(), await freePort(), await freePort()];
  const nginxConfig = join(folder, 'nginx.conf');
  await writeFile(nginxConfig, nginxText(folder, new URL(service), whole, passing));
  const haproxyConfig = join(folder, 'haproxy.cfg');
  await writeFile(haproxyConfig, haproxyText(new URL(service), haproxy));
  run(t, '/usr/sbin/nginx', ['-e', 'stderr', '-p', folder, '-c', nginxConfig]);
  run(t, '/usr/sbin/haproxy', ['-db', '-f', haproxyConfig]);
  await Promise.all([whole, passing, haproxy].map(answering));
  return [
    { name: 'nginx, bodies as a whole', url: `http://127.0.0.1:${String(whole)}` },
    { name: 'nginx, bodies as they come', url: `http://127.0.0.1:${String(passing)}` },
    { name: 'HAProxy', url: `http://127.0.0.1:${String(haproxy)}` },
  ];
}

function nginxText(folder: string, { protocol, host }: URL, whole: number, passing: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  upstream service { server ${host}; keepalive 2; }
  proxy_ssl_verify on;
  proxy_ssl_verify_depth 2;
  proxy_ssl_trusted_certificate ${ROOT};
  proxy_ssl_name localhost;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_read_timeout 5s;
  server { listen 127.0.0.1:${String(whole)}; location / { proxy_pass ${protocol}//service; } }
  server {
    listen 127.0.0.1:${String(passing)};
    location / { proxy_pass ${protocol}//service; proxy_request_buffering off; }
  }
}
`;
}

function haproxyText({ protocol, host }: URL, port: number): string {
  const tls = protocol === 'https:' ? ` ssl verify required ca-file ${ROOT} verifyhost localhost` : '';
  return `
global
  maxconn 1000
defaults
  mode http
  timeout connect 5s
  timeout client 15s
  timeout server 5s
  timeout http-request 15s
  http-reuse always
frontend clients
  bind 127.0.0.1:${String(port)}
  default_backend service
backend service
  server service ${host}${tls}
`;
}

/** Starts a proxy, which is ended with the test; the test fails if it ends before. */
export function run(
  t: Test,
  program: string,
  args: readonly string[],
  endWith: 'SIGKILL' | 'SIGTERM' = 'SIGKILL',
): void {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
  let ending = false;
  const ended = once(child, 'exit').then(() => {
    if (!ending) t.fail(`${program} ended by itself: ${errors}`);
  });
  t.teardown(async () => {
    ending = true;
    child.kill(endWith);
    await ended;
  });
}

/** Resolves when something listens on a port of this machine. */
export async function answering(port: number): Promise<void> {
  for (let patience = 100; ; patience--) {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch (error) {
      if (patience === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    } finally {
      socket.destroy();
    }
  }
}
