import t from 'tap';
import { build } from '../../src/http/uws.ts';

/** `npm run test:runtimes` says where this runs: `debian-13-node-24`. */
const runtime = process.env['RUNTIME'];

void t.test('the newer build of uWebSockets.js is taken wherever the C library is new enough for it', (t) => {
  const { glibcVersionRuntime } = (process.report.getReport() as Report).header;
  // macOS has no glibc.
  const [major = 0, minor = 0] = (glibcVersionRuntime ?? '2.38').split('.').map(Number);
  const newer = major > 2 || minor >= 38;
  t.equal(build, newer ? '@btc-vision/uwebsockets.js' : 'uWebSockets.js');

  if (runtime !== undefined) {
    t.match(runtime, new RegExp(`^(debian-13-)?node-${process.versions.node.split('.')[0] ?? ''}$`));
    t.ok(newer || !runtime.startsWith('debian-13-'), `${runtime} has glibc ${String(glibcVersionRuntime)}`);
  }
  t.end();
});

interface Report {
  /** The version as text, and only where the C library is glibc. */
  readonly header: { readonly glibcVersionRuntime?: string };
}
