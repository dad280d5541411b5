import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { eventually } from '../../bench/harness/dynamodb.ts';
import { freePort } from '../../src/cli/dynamodb-local.ts';
import { startService, type Service } from './process.ts';
import { answering, run } from './proxies.ts';

/** A load balancer with a file of `docs/deploy/`, in which only the addresses are changed. */
export interface Balancer {
  readonly name: 'nginx' | 'haproxy';
  /** Starts it before two instances, given as `host:port`; it is ended with the test. @returns its URL. */
  start(t: Test, instances: readonly [string, string]): Promise<string>;
}

export const nginx: Balancer = {
  name: 'nginx',
  async start(t, instances) {
    const folder = await temporaryFolder(t);
    const { url, port, text } = await filled('docs/deploy/nginx.conf', 'listen 80;', 'listen {};', instances);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    const paths = temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n');
    await mkdir(join(folder, 'conf.d'));
    await writeFile(join(folder, 'conf.d/triggers-api.conf'), text);
    // What Debian's own nginx.conf has around it.
    await writeFile(
      join(folder, 'nginx.conf'),
      `daemon off; user root; pid ${folder}/nginx.pid; error_log stderr crit; worker_processes 2;
      events { worker_connections 1024; }
      http { access_log off; ${paths} include ${folder}/conf.d/*.conf; }`,
    );
    run(t, '/usr/sbin/nginx', ['-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')], 'SIGTERM');
    await answering(port);
    return url;
  },
};

export const haproxy: Balancer = {
  name: 'haproxy',
  async start(t, instances) {
    const folder = await temporaryFolder(t);
    const { url, port, text } = await filled('docs/deploy/haproxy.cfg', 'bind :80\n', 'bind {}\n', instances);
    await writeFile(join(folder, 'haproxy.cfg'), text);
    run(t, '/usr/sbin/haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')]);
    await answering(port);
    return url;
  },
};

async function temporaryFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'balancer-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function filled(file: string, listen: string, form: string, instances: readonly [string, string]) {
  const port = await freePort();
  let text = await readFile(file, 'utf8');
  const changes = [
    [listen, form.replace('{}', `127.0.0.1:${String(port)}`)],
    ['10.0.0.11:8080', instances[0]],
    ['10.0.0.12:8080', instances[1]],
  ] as const;
  for (const [from, to] of changes) {
    if (text.split(from).length !== 2) throw new Error(`${file} must have ${from} once`);
    text = text.replace(from, to);
  }
  return { port, text, url: `http://127.0.0.1:${String(port)}` };
}

/** An instance of the built service on a port of its own, which stops and starts again. */
export interface Instance {
  readonly address: string;
  readonly url: string;
  /** SIGTERM. @returns how long it took, and the exit code or the signal that ended it. */
  stop(): Promise<{ ms: number; end: number | NodeJS.Signals }>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Resolves when it says that it is ready. */
  start(): Promise<void>;
  /** Resolves when it has answered a request for events since its last start: the balancer knows it again. */
  inUse(): Promise<void>;
}

export async function startInstance(t: Test, env: Record<string, string>): Promise<Instance> {
  const port = String(await freePort());
  const url = `http://127.0.0.1:${port}`;
  let service: Service;
  let used: Promise<void>;
  const instance: Instance = {
    address: `127.0.0.1:${port}`,
    url,
    async stop() {
      const began = performance.now();
      service.child.kill('SIGTERM');
      const end = await service.ended;
      return { ms: performance.now() - began, end };
    },
    async kill() {
      service.child.kill('SIGKILL');
      await service.ended;
    },
    async start() {
      service = await startService(t, { ...env, PORT: port }, [process.execPath, 'dist/cli/triggers-api.js']);
      used = new Promise((resolve) => {
        service.child.stdout.on('data', (lines: Buffer) => {
          if (lines.includes('"route":"/v1/events"')) resolve();
        });
      });
      await eventually(async () => {
        const { status } = await fetch(`${url}/v1/ready`);
        if (status !== 200) throw new Error(`ready is ${String(status)}`);
      });
    },
    inUse: () => used,
  };
  await instance.start();
  return instance;
}
