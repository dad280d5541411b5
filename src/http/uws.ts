/**
 * uWebSockets.js. Its author publishes no package, so there are two repacks of it, and the newest that loads is used
 * (docs/decisions/003-uwebsockets-build.md). The types are those of the older one; the parts in use are the same in both.
 */
import { createRequire } from 'node:module';
import type { HttpResponse, TemplatedApp } from 'uWebSockets.js';
import { UnsupportedRuntimeError } from './unsupported-runtime.ts';

type Uws = Pick<
  typeof import('uWebSockets.js'),
  'App' | 'SSLApp' | 'us_listen_socket_close' | 'us_socket_local_port'
>;

/**
 * Bytes of a request line with its headers; above it is 431. The parser's own limit of 4,096 refuses two filters of 255
 * characters beyond ASCII, which take 12 bytes each in a URL. It is read as the binary is loaded.
 */
process.env['UWS_HTTP_MAX_HEADERS_SIZE'] = '8192';

const require = createRequire(import.meta.url);

/** The newest first. */
const BUILDS = {
  '@btc-vision/uwebsockets.js': () => require('@btc-vision/uwebsockets.js') as Uws,
  'uWebSockets.js': () => import('uWebSockets.js'),
} satisfies Record<string, () => Uws | Promise<Uws>>;
export type Build = keyof typeof BUILDS;

const { build, uws } = await newestThatLoads();

export const { App, SSLApp, us_listen_socket_close, us_socket_local_port } = uws;

/** @param changed is told of each connection that opens (1) and ends (-1). To be called before the app serves. */
export function countConnections(app: TemplatedApp, changed: (by: 1 | -1) => void): void {
  type Filtering = { filter(changed: (res: HttpResponse, by: 1 | -1) => void): TemplatedApp };
  // The types of the older build lack it.
  (app as unknown as Filtering).filter((_res, by) => {
    changed(by);
  });
}

/** The package whose binary is in use. A test names it where the two differ. */
export { build };

async function newestThatLoads(): Promise<{ build: Build; uws: Uws }> {
  const reasons: unknown[] = [];
  for (const build of Object.keys(BUILDS) as Build[]) {
    try {
      return { build, uws: await BUILDS[build]() };
    } catch (error) {
      reasons.push(error);
    }
  }
  throw new UnsupportedRuntimeError(
    `uWebSockets.js has no binary for Node ${process.versions.node} on ${process.platform}-${process.arch} with this C library.\n` +
      'Use Node 20 or 22 with glibc 2.27 or newer (Debian 10), or Node 24 with glibc 2.38 or newer (Debian 13); musl (Alpine) does not work.',
    { cause: new AggregateError(reasons) },
  );
}
