/**
 * uWebSockets.js, of which its author publishes no package: two repacks of it, the newest of which that loads here is taken
 * (docs/decisions/003-uwebsockets-build.md). Types are those of the older one; what is used of it is the same in both.
 */
import { createRequire } from 'node:module';
import { UnsupportedRuntimeError } from './unsupported-runtime.ts';

type Uws = Pick<typeof import('uWebSockets.js'), 'App' | 'us_listen_socket_close' | 'us_socket_local_port'>;

const require = createRequire(import.meta.url);

/** The newest first. */
const BUILDS: readonly (() => Uws | Promise<Uws>)[] = [
  () => require('@btc-vision/uwebsockets.js') as Uws,
  () => import('uWebSockets.js'),
];

export const { App, us_listen_socket_close, us_socket_local_port } = await newestThatLoads();

async function newestThatLoads(): Promise<Uws> {
  const reasons: unknown[] = [];
  for (const load of BUILDS) {
    try {
      return await load();
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
