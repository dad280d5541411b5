import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostInUrl, listenError } from '../http/listen.ts';

export interface MetricsServer {
  /** E.g. `http://127.0.0.1:9464/metrics`. */
  readonly url: string;
  close(): Promise<void>;
}

/** More connections are closed at once: a Prometheus needs one, and nobody else should be here. */
const MAX_CONNECTIONS = 32;
/** How long a client may take for a request, and how long it may take none. */
const REQUEST_MS = 10_000;

/**
 * Serves the text on a port of its own, which a load balancer does not reach. Rejects with a `ListenError`.
 *
 * @param text is called once for scrapes that come at the same time.
 */
export async function startMetricsServer(
  { host, port }: { readonly host: string; readonly port: number },
  contentType: string,
  text: () => Promise<string>,
): Promise<MetricsServer> {
  let underWay: Promise<string> | undefined;
  const scrape = () => (underWay ??= text().finally(() => (underWay = undefined)));
  const server = createServer(
    { requestTimeout: REQUEST_MS, keepAliveTimeout: REQUEST_MS },
    (request, response) => {
      void answer(request, response, contentType, scrape);
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(listenError({ host, port, variable: 'METRICS_PORT' }, error));
    });
    server.listen({ host, port, exclusive: true }, resolve);
  });
  const { port: actual } = server.address() as AddressInfo;
  return {
    url: `http://${hostInUrl(host)}:${String(actual)}/metrics`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      // A scrape under way gets its answer; connections that are kept alive would hold the process.
      await underWay?.catch(() => undefined);
      await new Promise((resolve) => setImmediate(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  { method = '', url = '' }: IncomingMessage,
  response: ServerResponse,
  contentType: string,
  scrape: () => Promise<string>,
): Promise<void> {
  const plain = { 'content-type': 'text/plain; charset=utf-8' };
  if (url.split('?', 1)[0] !== '/metrics') {
    response.writeHead(404, plain).end('metrics are at /metrics\n');
    return;
  }
  if (method !== 'GET' && method !== 'HEAD') {
    response.writeHead(405, { ...plain, allow: 'GET, HEAD' }).end('this path takes GET, HEAD\n');
    return;
  }
  try {
    const text = await scrape();
    response.writeHead(200, { 'content-type': contentType, 'content-length': Buffer.byteLength(text) });
    response.end(method === 'HEAD' ? undefined : text);
  } catch (error) {
    // Prometheus shows the status and counts the scrape as failed.
    response.writeHead(500, plain).end(`${error instanceof Error ? error.message : 'unknown error'}\n`);
  }
}
